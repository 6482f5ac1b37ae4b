"""Starts: which held-out images sources start from, and draws about their codes."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from analysis.randomness import stream
from models.vae import VAE
from study.measurement.encoding import decode


def reference_split(num_held_out: int, num_starts: int) -> tuple[Tensor, Tensor]:
    """Rows of held-out images that are the reference, and of the ``num_starts`` that sources start from, at most half.

    Both are in a random order that is always the same, so that the first rows of either are a fair sample: MNIST's own
    order has the easy half of its writers first.
    """
    order = torch.randperm(num_held_out, generator=stream(0, "reference split"))
    first = num_held_out - min(num_starts, num_held_out // 2)
    return order[:first], order[first:]


def local_sample(
    vae: VAE, loc: Tensor, noise_scale: float, draws_per_image: int, generator: Generator
) -> tuple[Tensor, Tensor]:
    """Decoded draws of N(μ, s²I), s = ``noise_scale``, about each of the N means ``loc`` ``(N, *latent_shape)``.

    Returns:
        Images ``(N · draws_per_image, C, H, W)`` and the row of ``loc`` behind each, int64, draws of an image adjacent.
    """
    own = torch.arange(len(loc), device=loc.device).repeat_interleave(draws_per_image)
    centres = loc[own]
    noise = torch.randn(centres.shape, generator=generator, device=generator.device, dtype=centres.dtype)
    return decode(vae, centres + noise_scale * noise.to(centres.device)), own
