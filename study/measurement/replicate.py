"""Replicate: one trained VAE with its images, codes and draws, evaluated once for every estimate."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor

from analysis.aggregate import AggregatePosterior
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
from models.vae import VAE
from study.training.step import pure_pyro

CHUNK = 500
"""Images or latents that go through a network at a time."""


@dataclass(frozen=True, slots=True)
class Split:
    """Training or held-out images ``(N, *image_shape)``, their codes ``(N, *latent_shape)``, and M draws of the codes.

    codes hold one draw per image; ``z`` are the M evaluation draws ``(M, *latent_shape)`` of the images ``component``,
    with their densities in ``draws`` and those of the prior's draws in ``from_prior``; ``distortion`` is
    −log p(x|z), ``(M,)``.
    """

    images: Tensor
    codes: Codes
    aggregate: AggregatePosterior
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
        generator = torch.Generator(train.device).manual_seed(seed)
        with pure_pyro():
            prior = vae.prior()
        prior_z = _sample(prior, num_draws, seed, train.device)
        seen = _split(vae, prior, train, prior_z, num_draws, generator)
        other = _split(vae, prior, held_out, prior_z, num_draws, generator)
        unseen = evaluate_held_out_draws(seen.aggregate, other.aggregate, prior, other.z, other.component)
        return cls(vae, prior, prior_z, seen, other, unseen, seed)

    def generator(self, purpose: int) -> torch.Generator:
        """A generator of its own for each family of estimates, so that none depends on which others are asked for."""
        return torch.Generator(self.prior_z.device).manual_seed((self.seed + 7919 * (purpose + 1)) % 2**32)


@torch.no_grad()
def encode(vae: VAE, images: Tensor) -> tuple[Tensor, Tensor]:
    """Location and scale ``(N, *latent_shape)`` of the normal posteriors of ``images`` ``(N, *image_shape)``."""
    with pure_pyro():
        posteriors = [vae.posterior(chunk) for chunk in images.split(CHUNK)]
    return torch.cat([q.base_dist.loc for q in posteriors]), torch.cat([q.base_dist.scale for q in posteriors])


@torch.no_grad()
def log_likelihood(vae: VAE, images: Tensor, z: Tensor) -> Tensor:
    """log p(x | z) in nats, ``(M,)`` float64, of images ``(M, *image_shape)`` at latents ``(M, *latent_shape)``."""

    def chunks() -> Iterator[Tensor]:
        for x, latents in zip(images.split(CHUNK), z.split(CHUNK), strict=True):
            with pure_pyro():
                yield to_float64(vae.likelihood(latents)).log_prob(x.double())

    return torch.cat(list(chunks()))


def _split(
    vae: VAE, prior: TorchDistribution, images: Tensor, prior_z: Tensor, num_draws: int, generator: torch.Generator
) -> Split:
    loc, scale = encode(vae, images)
    aggregate = AggregatePosterior(loc, scale)
    z, component = aggregate.sample_per_image(1, generator, _images_for(num_draws, len(images), generator))
    return Split(
        images,
        Codes.draw(loc, scale, generator),
        aggregate,
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


def _sample(prior: TorchDistribution, num: int, seed: int, device: torch.device) -> Tensor:
    """Draws ``(num, *latent_shape)``; distributions take no generator, so the global one is seeded and restored."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        return prior.sample((num,))
