"""Declaration of a source of samples: where z comes from, and what the source is called wherever it is shown."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Generator, Tensor
from torch.distributions import Independent, Normal

from analysis.aggregate import Aggregate
from analysis.density_fits import Codes
from analysis.randomness import seeded, stream
from models.pure import pure_pyro
from models.vae import VAE


@dataclass(frozen=True, slots=True)
class Source:
    """A source of samples; its name is that of its file.

    title, formula: what it is called, and where z comes from.
    place: where it stands among the others, in increasing order.
    images: ``(n, C, H, W)`` of it from the common start; None where the model has no such source.
    """

    title: str
    formula: str
    place: int
    images: Callable[[Start], Tensor | None]


def source(title: str, formula: str, *, place: int) -> Callable[[Callable[[Start], Tensor | None]], Source]:
    """Declares the decorated function, which then is a :class:`Source`.

    Args:
        title: what the source is called wherever it is shown.
        formula: where z comes from.
        place: where it stands among the others, in increasing order.
    """
    return lambda images: Source(title, formula, place, images)


@dataclass(frozen=True)
class Start:
    """Codes and distributions that every source starts from.

    Its length n is the number of draws of sources that need no held-out image.

    vae: the model, in evaluation mode.
    train: n draws ``(n, *latent_shape)`` of the aggregate of the training images.
    held_out: codes of m held-out images that are not the reference.
    held_out_images: their originals ``(m, C, H, W)``, on the scale of likelihood means.
    seed: index of the replicate; with a purpose it is the whole of a source's randomness, so that other sources do not
        change its images.
    aggregate: q_N of all training images, whose moments are exact.
    """

    vae: VAE
    train: Tensor
    held_out: Codes
    held_out_images: Tensor
    seed: int
    aggregate: Aggregate

    def __len__(self) -> int:
        return len(self.train)

    @cached_property
    def prior_z(self) -> Tensor:
        """Draws ``(n, *latent_shape)`` of the prior."""
        with seeded(self.stream("prior")), torch.no_grad(), pure_pyro():
            return self.vae.prior().sample((len(self),))

    @cached_property
    def is_standard(self) -> bool:
        """Whether the prior is N(0, I)."""
        with torch.no_grad(), pure_pyro():
            prior = self.vae.prior()
        if not (isinstance(prior, Independent) and isinstance(prior.base_dist, Normal)):
            return False
        return bool((prior.base_dist.loc == 0).all() and (prior.base_dist.scale == 1).all())

    @cached_property
    def mean(self) -> Tensor | None:
        """Mean ``(D,)`` of the training codes, float64; None where posteriors have no moments in closed form."""
        try:
            return self.aggregate.mean
        except ValueError:
            return None

    @cached_property
    def deviation(self) -> Tensor | None:
        """Standard deviations ``(D,)`` of the training codes, float64; None as for the mean."""
        return None if self.mean is None else self.aggregate.marginal_variance.sqrt()

    @cached_property
    def eigenvectors(self) -> tuple[Tensor, Tensor] | None:
        """Eigenvalues ``(D,)``, descending, and eigenvectors ``(D, D)``, columns, of the covariance of the training
        codes, float64; None where it has no closed form or D is too large."""
        try:
            return self.aggregate.eigenvectors()
        except ValueError:
            return None

    def shaped(self, vectors: Tensor) -> Tensor:
        """``vectors`` ``(…, D)`` as latents ``(…, *latent_shape)``, in their type."""
        return vectors.to(self.train).reshape(*vectors.shape[:-1], *self.train.shape[1:])

    @property
    def latent_dim(self) -> int:
        """Number of latent dimensions D."""
        return math.prod(self.train.shape[1:])

    def stream(self, purpose: str) -> Generator:
        """A stream of random numbers of its own for each purpose, on the device of the latents."""
        return stream(self.seed, "source", purpose, device=self.train.device)
