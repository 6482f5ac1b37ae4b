"""Held-out draws of a map C × h × w, each of the C channels shuffled across images on its own."""

from __future__ import annotations

from torch import Tensor

from study.measurement.sources import Start, source
from study.measurement.sources._shuffle import decoded_shuffle


@source("shuffled channels", "each channel from another image", place=100)
def shuffled_channels(start: Start) -> Tensor | None:
    return decoded_shuffle(start, (1,), "shuffled_channels") if start.held_out.z.ndim == 4 else None
