"""Held-out draws of q(z|x), each dimension shuffled across images on its own: every marginal q_d is kept."""

from __future__ import annotations

from torch import Tensor

from study.measurement.sources import Start, source
from study.measurement.sources._shuffle import decoded_shuffle


@source("shuffled dimensions", "each z_d from another image", place=80)
def shuffled_dimensions(start: Start) -> Tensor:
    return decoded_shuffle(start, tuple(range(1, start.held_out.z.ndim)), "shuffled_dimensions")
