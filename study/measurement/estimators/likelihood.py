"""Likelihood: importance-weighted bounds on log p(x) of held-out images."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from analysis.estimate import Estimate
from analysis.likelihood.importance import ImportanceBounds, importance_bounds, log_importance_weights
from analysis.precision import log_prob_float64
from study.measurement.encoding import log_likelihood, posterior
from study.measurement.estimators import IMAGE_DENSITY, Quantity, estimator, once
from study.measurement.replicate import Split

_CHUNK = 50


def log_weights(split: Split, rows: Tensor, num_draws: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Log-weights ``(b, num_draws)`` in nats, float64, of images in chunks of b.

    split: that holds them.
    rows: which of them, int64.
    num_draws: of q(z|x), for each image.
    generator: of the draws.
    """
    replicate = split.replicate
    for chunk in rows.split(_CHUNK):
        replicate.heartbeat()
        images = split.images[chunk]

        def log_joint(z: Tensor, x: Tensor = images) -> Tensor:
            """Log p(x, z) of latents ``(s, B, *latent_shape)``, ``(s, B)``."""
            draws = len(z)
            latents = z.reshape(draws * len(x), *z.shape[2:]).to(x.dtype)
            observed = x.expand(draws, *x.shape).reshape(draws * len(x), *x.shape[1:])
            joint = log_likelihood(replicate.vae, observed, latents) + log_prob_float64(replicate.prior, latents)
            return joint.reshape(draws, len(x))

        yield log_importance_weights(log_joint, posterior(replicate.vae, images), num_draws, generator)


@once
@torch.no_grad()
def bounds(split: Split) -> ImportanceBounds:
    """Bounds at K = 1 and each K asked for of some held-out images, with as many draws of q(z|x) for each as the
    largest."""
    evaluate = split.replicate.evaluate
    sizes = sorted({1, *evaluate.importance})
    rows = split.chosen(evaluate.importance_images)
    return importance_bounds(log_weights(split, rows, max(sizes), split.replicate.stream("importance draws")), sizes)


@once
@torch.no_grad()
def single(split: Split) -> Tensor:
    """Log-weights ``(N,)`` of one draw of q(z|x) for each image."""
    rows = torch.arange(len(split), device=split.images.device)
    return torch.cat(list(log_weights(split, rows, 1, split.replicate.stream("one importance draw")))).squeeze(1)


@estimator(
    Quantity(
        "log_px_<K>",
        "E log (1/K) Σₖ p(x, zₖ)/q(zₖ|x)",
        "lower",
        "lower end of log p(x), ≈ −Var(w)/2K",
        "`unreliable` where k̂ or the effective sample says so",
        of_prior=True,
    ),
    Quantity("log_px", "the same at the largest K", "lower", limits="the same", of_prior=True),
    Quantity(
        "log_px_all",
        "`log_px` over all held-out images: mean log-weight of one draw of each, and what the largest K gains on some",
        "lower",
        limits="the same",
        of_prior=True,
    ),
    Quantity(
        "log_px_bias",
        "leading term Var(w)/(2K p²) of what `log_px` lacks",
        "consistent",
        limits="not where weights are `unreliable`",
    ),
    Quantity(
        "log_px_gain",
        "what the largest K gains over the next smaller, paired by image",
        limits="near 0 where `log_px` has settled, or where its draws miss the same mode",
    ),
    Quantity("log_px_unreliable_share", "share of images with k̂ above min(1 − 1/log₁₀ S, 0.7)"),
    rows=("held_out",),
    needs=(IMAGE_DENSITY,),
    asked=lambda evaluate: bool(evaluate.importance),
)
def importance(split: Split) -> dict[str, Estimate]:
    by_image, evaluate = bounds(split), split.replicate.evaluate
    *smaller, largest = sorted(evaluate.importance)
    rows = split.chosen(evaluate.importance_images)
    return {f"log_px_{size}": by_image.estimate(size) for size in evaluate.importance} | {
        "log_px": by_image.estimate(largest),
        "log_px_all": by_image.extended(largest, single(split), rows),
        "log_px_bias": by_image.bias(largest),
        "log_px_gain": by_image.gain(smaller[-1], largest) if smaller else Estimate.refused("one K alone", len(split)),
        "log_px_unreliable_share": by_image.unreliable_share(),
    }
