"""Prior: the author's recipe for p(z)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from models.context import Context, Support
from models.options import Configurable

MIN_SCALE = 1e-4
"""Floor of learned scales, where latents have a scale of about 1."""

MAX_ELEMENTS = 2**28
"""Numbers that one tensor of a prior may hold: 1 GiB in single precision, four times that with gradient and moments."""


class Prior(Configurable, nn.Module, ABC):
    """A distribution over latents z with ``event_shape == context.latent_shape``.

    context: shapes and neighbours; see :class:`~models.context.Context`.

    To add a prior: one file in this folder, or a class in a package of your own under the entry point group
    ``latent_study.priors``, with one final subclass whose constructor takes the context and typed keyword-only options,
    whose ``forward`` returns the distribution (batch shape ``()``, its ``support`` set), and whose ``reference`` names
    the paper. Parameters are ordinary ``nn.Parameter`` and are learned with the networks. Where KL(q ‖ p) has a closed
    form, register it in the same file with ``torch.distributions.kl.register_kl``; elsewhere it is sampled. A shape or
    option that the prior cannot hold is refused with a ValueError, before memory is taken. Ranges of options stand in
    their types (:mod:`models.options`) and are checked before the constructor.

    >>> import pyro.distributions as dist
    >>> import torch
    >>> from models.networks.mlp import MLP
    >>> from models.options import Positive
    >>> from models.shapes import Shapes
    >>> class Laplace(Prior):
    ...     def __init__(self, context: Context, *, scale: Positive = 0.7) -> None:
    ...         super().__init__(context)
    ...         self.log_scale = nn.Parameter(torch.full(context.latent_shape, scale).log())
    ...     def forward(self) -> TorchDistribution:
    ...         scale = self.log_scale.exp()
    ...         return dist.Laplace(torch.zeros_like(scale), scale).to_event(len(self.latent_shape))
    >>> context = Context(Shapes((16,), (1, 28, 28)), MLP())
    >>> Laplace(context)().sample((100,)).shape
    torch.Size([100, 16])
    >>> Laplace(context, scale=0.0)
    Traceback (most recent call last):
    ...
    ValueError: prior.scale must be positive; got 0.0
    """

    family = "prior"
    reference: ClassVar[str] = ""
    support: Support = "real"
    """Space in which latents live; a prior that is a mixture of posteriors copies the support of the posterior."""
    repeats_training_images: ClassVar[bool] = False
    """Whether its draws are codes of training images, so that what they decode to are these images again."""
    couples_images: ClassVar[bool] = False
    """Whether the density of an image's latent in training depends on the other images of its batch."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.latent_shape = context.latent_shape

    @abstractmethod
    def forward(self) -> TorchDistribution:
        """The distribution p(z)."""

    def for_training(self, images: Tensor) -> TorchDistribution:
        """Density, in training, of the latents of ``images`` ``(B, *image_shape)``; batch shape ``()`` or ``(B,)``.

        It is p(z), unless the prior is made of training images (then each image must not find itself in it), or its
        log-density is estimated with fresh noise or bounded in training.
        """
        return self()


def check_memory(option: str, count: int, elements: int) -> None:
    """ValueError unless ``count`` parts of ``elements`` numbers each fit in memory; it names ``option``."""
    if count * elements > MAX_ELEMENTS:
        raise ValueError(
            f"prior.{option}={count} of {elements:,} numbers each would take {count * elements:,}, more than "
            f"{MAX_ELEMENTS:,} (1 GiB in single precision); use at most {MAX_ELEMENTS // elements}"
        )


def check_parameters(prior: str, latent_dim: int, parameters: int) -> None:
    """ValueError where the networks of ``prior`` at D = ``latent_dim`` hold more ``parameters`` than a prior may."""
    if parameters > MAX_ELEMENTS:
        raise ValueError(
            f"{prior} at D = {latent_dim:,} would hold {parameters:,} parameters, more than {MAX_ELEMENTS:,} (1 GiB in "
            "single precision); use a smaller prior.hidden, or prior=student_t, which grows with D alone"
        )
