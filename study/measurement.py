"""Measurement: what is estimated of one trained replicate, on training and on held-out images."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor

from analysis import divergence, information
from analysis.aggregate import AggregatePosterior
from analysis.draws import HeldOutDraws, evaluate_component_draws, evaluate_held_out_draws, evaluate_prior_draws
from analysis.estimate import Estimate
from analysis.geometry.active_units import active_units, active_units_by_kl
from analysis.geometry.shells import norm_auc, shell
from analysis.mixtures import MixtureSelection, select_gaussian_mixture
from analysis.precision import to_float64
from analysis.tree import Measured
from models.vae import VAE
from study.cell import Evaluate
from study.training.step import pure_pyro

CHUNK = 500
"""Images or latents that go through a network at a time."""


@dataclass(frozen=True, slots=True)
class _Split:
    """Images ``(N, *image_shape)`` of one split, their codes ``(N, *latent_shape)`` and the aggregate posterior."""

    images: Tensor
    loc: Tensor
    scale: Tensor
    aggregate: AggregatePosterior

    @classmethod
    def encoded(cls, vae: VAE, images: Tensor) -> _Split:
        loc, scale = encode(vae, images)
        return cls(images, loc, scale, AggregatePosterior(loc, scale))


@torch.no_grad()
def encode(vae: VAE, images: Tensor) -> tuple[Tensor, Tensor]:
    """Location and scale ``(N, *latent_shape)`` of the normal posteriors of ``images`` ``(N, *image_shape)``."""
    with pure_pyro():
        posteriors = [vae.posterior(chunk) for chunk in images.split(CHUNK)]
    return torch.cat([q.base_dist.loc for q in posteriors]), torch.cat([q.base_dist.scale for q in posteriors])


@torch.no_grad()
def distortion(vae: VAE, images: Tensor, z: Tensor) -> Tensor:
    """−log p(x | z) in nats, ``(M,)`` float64, of images ``(M, *image_shape)`` at latents ``(M, *latent_shape)``."""

    def chunks() -> Iterator[Tensor]:
        for x, latents in zip(images.split(CHUNK), z.split(CHUNK), strict=True):
            with pure_pyro():
                yield -to_float64(vae.likelihood(latents)).log_prob(x.double())

    return torch.cat(list(chunks()))


@torch.no_grad()
def measure(vae: VAE, train: Tensor, held_out: Tensor, evaluate: Evaluate, *, seed: int) -> Measured:
    """Every estimate of one replicate; ``train`` and ``held_out`` are images ``(N, *image_shape)``, binarised."""
    generator = torch.Generator(train.device).manual_seed(seed)
    with pure_pyro():
        prior = vae.prior()
    splits = {"train": _Split.encoded(vae, train), "held_out": _Split.encoded(vae, held_out)}
    prior_z = _sample(prior, evaluate.draws, seed, train.device)
    integrands, densities, images, estimates, latents = {}, {}, {}, {}, {}
    for name, split in splits.items():
        own = _images_for(evaluate.draws, len(split.images), generator)
        z, component = split.aggregate.sample_per_image(1, generator, own)
        draws = evaluate_component_draws(split.aggregate, prior, z, component)
        from_prior = evaluate_prior_draws(split.aggregate, prior, prior_z)
        cost = distortion(vae, split.images[component], z)
        integrands[name] = draws.integrands() | {"kl_reverse": -from_prior.log_ratio, "distortion": cost}
        densities[name] = {
            "log_q": draws.log_aggregate,
            "log_p": draws.log_prior,
            "log_q_given_x": draws.log_conditional,
        }
        images[name], latents[name] = component, z
        elbo = Estimate.mean(-cost - integrands[name]["rate"], "lower", groups=component)
        estimates[name] = {
            "rate": information.rate(draws),
            "distortion": Estimate.mean(cost, groups=component),
            "elbo": elbo,
            "information": information.mutual_information(draws),
            "information_upper": information.mutual_information_upper(draws),
            "log_n": Estimate.exact(math.log(len(split.images)), len(split.images)),
            "kl": divergence.kl_aggregate_to_prior(draws),
            "kl_upper": information.marginal_kl_interval(draws).upper,
            "kl_lower": information.marginal_kl_lower(draws),
            "kl_reverse": divergence.kl_prior_to_aggregate(from_prior),
            "total_variation": divergence.total_variation(draws, from_prior),
            "jensen_shannon": divergence.jensen_shannon(draws, from_prior),
            "log_ratio_auc": divergence.log_ratio_auc(draws, from_prior),
            **_geometry(split, z, component, prior_z),
        }
    unseen = evaluate_held_out_draws(
        splits["train"].aggregate, splits["held_out"].aggregate, prior, latents["held_out"], images["held_out"]
    )
    estimates["held_out"] |= {
        "kl_certified_aggregate": information.marginal_kl_lower(unseen),
        "information_certified_upper": information.mutual_information_upper(unseen),
    }
    codes, _ = splits["train"].aggregate.sample_per_image(1, generator)
    mixtures = select_gaussian_mixture(
        codes.flatten(1),
        latents["held_out"].flatten(1),
        evaluate.components,
        evaluate.covariances,
        generator=generator,
        held_out_groups=images["held_out"],
    )
    estimates["held_out"]["kl_certified_mixture"] = _certified(mixtures, latents["held_out"], unseen)
    overall = {
        "kl_certified_aggregate": unseen.integrands()["kl_lower"],
        "information_certified_upper": unseen.integrands()["information_upper"],
    }
    return Measured(integrands, densities, images, overall, estimates, mixtures.candidates)


def _geometry(split: _Split, z: Tensor, component: Tensor, prior_z: Tensor) -> dict[str, Estimate]:
    norms = shell(z, component)
    return {
        "mean_square": norms.mean_square,
        "norm_mean": norms.norm_mean,
        "norm_sd": norms.norm_sd,
        "norm_auc": norm_auc(z, prior_z, component),
        "active_units": active_units(split.loc),
        "active_units_by_kl": active_units_by_kl(split.loc, split.scale),
    }


def _certified(selection: MixtureSelection, z: Tensor, draws: HeldOutDraws) -> Estimate:
    """Certified mismatch of the mixture that BIC chooses: a choice by held-out score would bias that very score."""
    best = selection.best_by_bic
    if best is None or best.mixture is None:
        return Estimate.refused("every mixture has too many parameters for the codes")
    return divergence.certified_gap(best.mixture.log_prob(z.flatten(1)), draws.log_prior, draws.unit)


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
