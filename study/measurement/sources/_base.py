"""Declaration of a source of samples: where z comes from, and what the source is called wherever it is shown."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Generator, Tensor

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
    """What every source starts from; its length n is the number of draws of sources that need no held-out image.

    vae: the model, in evaluation mode.
    train: n draws ``(n, *latent_shape)`` of the aggregate of the training images.
    held_out: codes of m held-out images that are not the reference.
    held_out_images: their originals ``(m, C, H, W)``, on the scale of likelihood means.
    seed: index of the replicate; with a purpose it is the whole of a source's randomness, so that other sources do not
        change its images.
    """

    vae: VAE
    train: Tensor
    held_out: Codes
    held_out_images: Tensor
    seed: int

    def __len__(self) -> int:
        return len(self.train)

    @cached_property
    def prior_z(self) -> Tensor:
        """Draws ``(n, *latent_shape)`` of the prior."""
        with seeded(self.stream("prior")), torch.no_grad(), pure_pyro():
            return self.vae.prior().sample((len(self),))

    @property
    def latent_dim(self) -> int:
        """Number of latent dimensions D."""
        return math.prod(self.train.shape[1:])

    def stream(self, purpose: str) -> Generator:
        """A stream of random numbers of its own for each purpose, on the device of the latents."""
        return stream(self.seed, "source", purpose, device=self.train.device)
