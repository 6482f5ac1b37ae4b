"""Replicate: one trained VAE with its images, codes and draws, evaluated once for every estimate."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import Independent, Normal

from analysis.aggregate import Aggregate, DiagonalAggregate, GeneralAggregate, HeldCodes, StreamedCodes
from analysis.density_fits import Codes
from analysis.draws import (
    ComponentDraws,
    DrawDensities,
    HeldOutDraws,
    evaluate_component_draws,
    evaluate_held_out_draws,
    evaluate_prior_draws,
)
from analysis.precision import to_float64
from analysis.randomness import seeded, stream
from models.pure import pure_pyro
from models.vae import VAE

CHUNK = 500
"""Images or latents that go through a network at a time."""

HELD_ELEMENTS = 2**26
"""Latent numbers of a split that are held at once, 256 MiB for each of loc, scale and z. Beyond it the aggregate
encodes its images anew at every pass, and codes are those of as many images as fit in a quarter of it."""


@dataclass(frozen=True, slots=True)
class Split:
    """Training or held-out images ``(N, *image_shape)``, codes of some of them, and M draws of the codes.

    codes are those of the images ``rows``, all N where they can be held, with one draw per image; ``held`` is the
    aggregate of these images and ``aggregate`` that of all N. ``z`` are the M evaluation draws ``(M, *latent_shape)``
    of the images ``component``, with their densities in ``draws`` and those of the prior's draws in ``from_prior``;
    ``distortion`` is −log p(x|z), ``(M,)``.
    """

    images: Tensor
    rows: Tensor
    codes: Codes
    aggregate: Aggregate
    held: Aggregate
    z: Tensor
    component: Tensor
    draws: ComponentDraws
    from_prior: DrawDensities
    distortion: Tensor


@dataclass(frozen=True, slots=True)
class Replicate:
    """Both splits of one trained VAE, draws ``prior_z`` ``(M, *latent_shape)`` of its prior, and the held-out draws
    under the aggregate of the training images."""

    vae: VAE
    prior: TorchDistribution
    prior_z: Tensor
    train: Split
    held_out: Split
    unseen: HeldOutDraws
    seed: int

    @classmethod
    @torch.no_grad()
    def evaluated(cls, vae: VAE, train: Tensor, held_out: Tensor, *, num_draws: int, seed: int) -> Self:
        """Encodes, draws and evaluates; ``seed`` is the whole of its randomness."""
        with pure_pyro():
            prior = vae.prior()
        prior_z = _sample(prior, num_draws, stream(seed, "prior draws", device=train.device))
        seen, other = (
            _split(vae, prior, images, prior_z, num_draws, stream(seed, "aggregate draws", name, device=train.device))
            for name, images in (("train", train), ("held out", held_out))
        )
        unseen = evaluate_held_out_draws(seen.aggregate, other.aggregate, prior, other.z, other.component)
        return cls(vae, prior, prior_z, seen, other, unseen, seed)

    @property
    def prior_error(self) -> float:
        """Standard error (nats) of log p(z) that all latents share, where its normaliser is estimated; else 0."""
        return float(getattr(self.prior, "log_prob_standard_error", 0.0))

    def stream(self, *purpose: str | int) -> torch.Generator:
        """This replicate's stream of random numbers for ``purpose``, words, on the device of its draws.

        Each family of estimates has its own, so that none depends on which others are asked for.
        """
        return stream(self.seed, *purpose, device=self.prior_z.device)


def posterior(vae: VAE, images: Tensor) -> TorchDistribution:
    """q(z|x) of ``images`` ``(n, *image_shape)``, without gradient."""
    with torch.no_grad(), pure_pyro():
        return vae.posterior(images)


@torch.no_grad()
def encode(vae: VAE, images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and marginal standard deviations ``(N, *latent_shape)`` of q(z|x) of ``images`` ``(N, *image_shape)``.

    Where a posterior has neither in closed form they are those of a few draws.
    """
    codes = aggregate_of(vae, images).component_moments()
    return codes.loc, codes.scale


@torch.no_grad()
def aggregate_of(vae: VAE, images: Tensor) -> Aggregate:
    """The aggregate posterior of ``images`` ``(N, *image_shape)``, exact for every kind of posterior."""
    first = posterior(vae, images[:1])
    if not (isinstance(first, Independent) and isinstance(first.base_dist, Normal)):
        return GeneralAggregate(lambda rows: posterior(vae, images[rows]), len(images), images.device)
    if len(images) * first.event_shape.numel() <= HELD_ELEMENTS:
        return DiagonalAggregate(HeldCodes(*_normals(vae, images)))
    return DiagonalAggregate(
        StreamedCodes(lambda rows: _normals(vae, images[rows]), len(images), images.device, block=CHUNK)
    )


@torch.no_grad()
def codes_of(aggregate: Aggregate, generator: torch.Generator) -> Codes:
    """Codes of all images of ``aggregate`` with one draw of q(z|x) each."""
    moments = aggregate.component_moments()
    z, _ = aggregate.sample_per_image(1, generator)
    return Codes(moments.loc, moments.scale, z)


@torch.no_grad()
def log_likelihood(vae: VAE, images: Tensor, z: Tensor) -> Tensor:
    """log p(x | z) in nats, ``(M,)`` float64, of images ``(M, *image_shape)`` at latents ``(M, *latent_shape)``."""

    def chunks() -> Iterator[Tensor]:
        for x, latents in zip(images.split(CHUNK), z.split(CHUNK), strict=True):
            with pure_pyro():
                yield to_float64(vae.likelihood(latents)).log_prob(x.double())

    return torch.cat(list(chunks()))


def _normals(vae: VAE, images: Tensor) -> tuple[Tensor, Tensor]:
    """μ and σ ``(n, *latent_shape)`` of posteriors that are diagonal normals, of ``images`` ``(n, *image_shape)``."""
    bases = [posterior(vae, chunk).base_dist for chunk in images.split(CHUNK)]
    return torch.cat([base.loc for base in bases]), torch.cat([base.scale for base in bases])


def _split(
    vae: VAE, prior: TorchDistribution, images: Tensor, prior_z: Tensor, num_draws: int, generator: torch.Generator
) -> Split:
    aggregate = held = aggregate_of(vae, images)
    rows = torch.arange(len(images), device=images.device)
    if len(images) * aggregate.latent_dim > HELD_ELEMENTS:
        order = torch.randperm(len(images), generator=generator, device=generator.device)
        rows = order[: max(HELD_ELEMENTS // 4 // aggregate.latent_dim, 2)].to(images.device)
        held = aggregate.subset(rows)
    z, component = aggregate.sample_per_image(1, generator, _images_for(num_draws, len(images), generator))
    return Split(
        images,
        rows,
        codes_of(held, generator),
        aggregate,
        held,
        z,
        component,
        evaluate_component_draws(aggregate, prior, z, component),
        evaluate_prior_draws(aggregate, prior, prior_z),
        -log_likelihood(vae, images[component], z),
    )


def _images_for(draws: int, num_images: int, generator: torch.Generator) -> Tensor:
    """Which image each draw belongs to: every image equally often up to one, in random order."""
    rounds = math.ceil(draws / num_images)
    orders = [torch.randperm(num_images, generator=generator, device=generator.device) for _ in range(rounds)]
    return torch.cat(orders)[:draws]


def _sample(prior: TorchDistribution, num: int, generator: torch.Generator) -> Tensor:
    """Draws ``(num, *latent_shape)`` of the prior."""
    with seeded(generator):
        return prior.sample((num,))
