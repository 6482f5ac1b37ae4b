"""Importance-weighted bounds on log p(x) of held-out images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from analysis.estimate import Estimate
from analysis.likelihood.importance import ImportanceBounds, importance_bounds, log_importance_weights
from analysis.precision import log_prob_float64
from models.pure import pure_pyro
from study.measurement.replicate import Replicate, log_likelihood

IMAGES = 500
"""Held-out images whose log p(x) is bounded."""
_CHUNK = 50


@torch.no_grad()
def bounds(replicate: Replicate, sizes: Sequence[int]) -> ImportanceBounds:
    """Bounds at each K of ``sizes`` for the first held-out images, with max(sizes) draws of q(z|x) for each."""
    images, generator = replicate.held_out.images[:IMAGES], replicate.stream("importance draws")

    def weights() -> Iterator[Tensor]:
        for chunk in images.split(_CHUNK):

            def log_joint(z: Tensor, x: Tensor = chunk) -> Tensor:
                """Log p(x, z) of latents [s, B, *latent], [s, B]."""
                draws = len(z)
                latents = z.reshape(draws * len(x), *z.shape[2:]).to(x.dtype)
                observed = x.expand(draws, *x.shape).reshape(draws * len(x), *x.shape[1:])
                joint = log_likelihood(replicate.vae, observed, latents) + log_prob_float64(replicate.prior, latents)
                return joint.reshape(draws, len(x))

            with pure_pyro():
                proposal = replicate.vae.posterior(chunk)
            yield log_importance_weights(log_joint, proposal, max(sizes), generator)

    return importance_bounds(weights(), sizes)


def estimates(result: ImportanceBounds) -> dict[str, Estimate]:
    """Bounds by K and the best of them, that one's leading bias, and the share of images with unsettled weights."""
    largest = max(result.sizes)
    return {f"log_px_{size}": result.estimate(size) for size in result.sizes} | {
        "log_px": result.estimate(largest),
        "log_px_bias": result.bias(largest),
        "log_px_unreliable_share": result.unreliable_share(),
    }
