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


@once
@torch.no_grad()
def bounds(split: Split) -> ImportanceBounds:
    """Bounds at each K asked for of some held-out images, with as many draws of q(z|x) for each as the largest."""
    replicate, sizes = split.replicate, split.replicate.evaluate.importance
    generator = replicate.stream("importance draws")

    def weights() -> Iterator[Tensor]:
        for chunk in split.images[split.chosen(replicate.evaluate.importance_images)].split(_CHUNK):
            replicate.heartbeat()

            def log_joint(z: Tensor, x: Tensor = chunk) -> Tensor:
                """Log p(x, z) of latents ``(s, B, *latent_shape)``, ``(s, B)``."""
                draws = len(z)
                latents = z.reshape(draws * len(x), *z.shape[2:]).to(x.dtype)
                observed = x.expand(draws, *x.shape).reshape(draws * len(x), *x.shape[1:])
                joint = log_likelihood(replicate.vae, observed, latents) + log_prob_float64(replicate.prior, latents)
                return joint.reshape(draws, len(x))

            yield log_importance_weights(log_joint, posterior(replicate.vae, chunk), max(sizes), generator)

    return importance_bounds(weights(), sizes)


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
    by_image = bounds(split)
    *smaller, largest = sorted(by_image.sizes)
    return {f"log_px_{size}": by_image.estimate(size) for size in by_image.sizes} | {
        "log_px": by_image.estimate(largest),
        "log_px_bias": by_image.bias(largest),
        "log_px_gain": by_image.gain(smaller[-1], largest) if smaller else Estimate.refused("one K alone", len(split)),
        "log_px_unreliable_share": by_image.unreliable_share(),
    }
