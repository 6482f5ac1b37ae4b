"""Prior: the author's recipe for p(z)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from models.context import Context, Support
from models.posteriors import Posterior

MAX_ELEMENTS = 2**28
"""Numbers that one tensor of a prior may hold: 1 GiB in single precision, four times that with gradient and moments."""


class Prior(nn.Module, ABC):
    """A distribution over latents z with ``event_shape == context.latent_shape``.

    To add a prior: one file in this folder, or a class in a package of your own under the entry point group
    ``latent_study.priors``, with one final subclass whose constructor takes the context and typed keyword-only options,
    whose ``forward`` returns the distribution (batch shape ``()``, its ``support`` set), and whose ``reference`` names
    the paper. Parameters are ordinary ``nn.Parameter`` and are learned with the networks. Where KL(q ‖ p) has a closed
    form, register it in the same file with ``torch.distributions.kl.register_kl``; elsewhere it is sampled. A shape or
    option that the prior cannot hold is refused with a ValueError, before memory is taken.
    """

    reference: ClassVar[str] = ""
    support: Support = "real"
    """A prior that is made of posteriors takes theirs."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.latent_shape = context.latent_shape

    @abstractmethod
    def forward(self) -> TorchDistribution:
        """The distribution p(z)."""

    def for_training(self, images: Tensor) -> TorchDistribution:
        """What training holds the latents of ``images`` ``(B, *image_shape)`` to; batch shape ``()`` or ``(B,)``.

        It is p(z), unless the prior is made of training images (then each image must not find itself in it), or its
        log-density is estimated with fresh noise or bounded in training.
        """
        return self()


def posterior_of(context: Context, prior: str) -> Posterior:
    """The q(z|x) that ``prior`` is made of; ValueError where the context holds none."""
    if not isinstance(context.posterior, Posterior):
        raise ValueError(f"the {prior} is made of posteriors; build it with a context that holds one")
    return context.posterior


def moments_of(q: TorchDistribution, prior: str) -> tuple[Tensor, Tensor]:
    """Mean and variance of the posteriors ``q`` that ``prior`` is made of; ValueError without a closed form."""
    try:
        return q.mean, q.variance
    except NotImplementedError as error:
        raise ValueError(
            f"the {prior} is made of posterior moments, and {type(q).__name__} has none in closed form; "
            "use posterior=diagonal_normal, or prior=vamp, which takes any posterior"
        ) from error


def check_count(option: str, count: int, elements: int, *, least: int = 1) -> None:
    """ValueError unless ``least`` ≤ ``count`` and ``count`` parts of ``elements`` numbers each fit in memory."""
    if count < least:
        raise ValueError(f"prior.{option} must be at least {least}; got {count}")
    if count * elements > MAX_ELEMENTS:
        raise ValueError(
            f"prior.{option}={count} of {elements:,} numbers each would take {count * elements:,}, more than "
            f"{MAX_ELEMENTS:,} (1 GiB in single precision); use at most {MAX_ELEMENTS // elements}"
        )


def check_widths(widths: tuple[int, ...]) -> None:
    """ValueError unless ``prior.hidden`` is one or more positive widths."""
    if not widths or min(widths) < 1:
        raise ValueError(f"prior.hidden must be one or more positive widths; got {list(widths)}")


def check_parameters(prior: str, latent_dim: int, parameters: int) -> None:
    """ValueError where the networks of ``prior`` would hold more numbers than a prior may."""
    if parameters > MAX_ELEMENTS:
        raise ValueError(
            f"{prior} at D = {latent_dim:,} would hold {parameters:,} parameters, more than {MAX_ELEMENTS:,} (1 GiB in "
            "single precision); use a smaller prior.hidden, or prior=student_t, which grows with D alone"
        )
