"""Shuffles: codes of held-out images, each unit exchanged between images on its own, so that its law is kept."""

from __future__ import annotations

import torch
from torch import Tensor

from study.measurement.encoding import decode
from study.measurement.sources._base import Start


def decoded_shuffle(start: Start, units: tuple[int, ...], purpose: str) -> Tensor:
    """Decoded held-out draws with every unit permuted across the images on its own.

    Args:
        start: the codes.
        units: the dimensions of a latent ``(n, *latent_shape)`` that number the units which move whole.
        purpose: of the randomness.
    """
    z = start.held_out.z
    shape = [z.shape[dim] if dim in units else 1 for dim in range(1, z.ndim)]
    generator = start.stream(purpose)
    keys = torch.rand(len(z), *shape, generator=generator, device=generator.device)
    return decode(start.vae, z.gather(0, keys.argsort(0).to(z.device).expand_as(z)))
