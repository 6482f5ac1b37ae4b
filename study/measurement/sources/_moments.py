"""Moments: prior draws that are given some of the moments of the training codes, and codes that lose some of theirs."""

from __future__ import annotations

import torch
from torch import Tensor

from study.measurement.encoding import decode
from study.measurement.sources._base import Start


def moved_prior(start: Start, offset: Tensor | None, deviation: Tensor | None = None) -> Tensor | None:
    """Decoded offset + deviation ⊙ ε of the prior's draws ε, the same for all moments, so that sources are paired.

    Args:
        start: whose prior draws are moved.
        offset: float64 ``(D,)``; None where there is none, and then no source.
        deviation: float64 ``(D,)``; none: ones.

    Returns:
        None where p is not N(0, I), of which nothing would have these moments.
    """
    if offset is None or not start.is_standard:
        return None
    noise = start.prior_z.flatten(1).double()
    return decode(start.vae, start.shaped(offset + (noise if deviation is None else noise * deviation)))


def permuted(start: Start, offset: Tensor | None) -> Tensor | None:
    """The numbers of ``offset`` ``(D,)`` in random order, which a stream of ``start`` gives."""
    if offset is None:
        return None
    generator = start.stream("permuted offset")
    order = torch.randperm(len(offset), generator=generator, device=generator.device)
    return offset[order.to(offset.device)]


def of_equal_norm(start: Start, offset: Tensor | None) -> Tensor | None:
    """A vector ``(D,)`` as long as ``offset``, in a random direction, which a stream of ``start`` gives."""
    if offset is None:
        return None
    generator = start.stream("random offset")
    direction = torch.randn(len(offset), generator=generator, device=generator.device, dtype=torch.float64)
    return direction.to(offset.device) * (offset.norm() / direction.norm())
