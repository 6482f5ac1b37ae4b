"""Starts: which held-out images sources start from, and draws about their codes."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from analysis.randomness import stream
from models.vae import VAE
from study.measurement.encoding import decode


def reference_split(num_held_out: int, num_starts: int) -> tuple[Tensor, Tensor]:
    """Rows of the ``num_held_out`` held-out images that are the reference, and of the ``num_starts`` that sources start
    from, at most half; int64 both.

    Both are in a random order that is always the same, so that the first rows of either are a fair sample: MNIST's own
    order has the easy half of its writers first.
    """
    order = torch.randperm(num_held_out, generator=stream(0, "reference split"))
    first = num_held_out - min(num_starts, num_held_out // 2)
    return order[:first], order[first:]


def local_sample(
    vae: VAE, loc: Tensor, noise_scale: float, draws_per_image: int, generator: Generator
) -> tuple[Tensor, Tensor]:
    """Decoded draws of N(μ, s²I) about each of N means μ.

    Args:
        vae: the model whose decoder it is.
        loc: the means, ``(N, *latent_shape)``.
        noise_scale: s, in units of the latents.
        draws_per_image: number of draws about each mean.
        generator: of the draws.

    Returns:
        Images ``(N · draws_per_image, C, H, W)`` and the row of ``loc`` behind each, int64, draws of an image adjacent.
    """
    rows = torch.arange(len(loc), device=loc.device).repeat_interleave(draws_per_image)
    centres = loc[rows]
    noise = torch.randn(centres.shape, generator=generator, device=generator.device, dtype=centres.dtype)
    return decode(vae, centres + noise_scale * noise.to(centres.device)), rows
