"""Held-out draws of a map C × h × w, each of the h·w places shuffled across images on its own."""

from __future__ import annotations

from torch import Tensor

from study.measurement.sources import Start, source
from study.measurement.sources._shuffle import decoded_shuffle


@source("shuffled places", "each place from another image", place=90)
def shuffled_locations(start: Start) -> Tensor | None:
    return decoded_shuffle(start, (2, 3), "shuffled_locations") if start.held_out.z.ndim == 4 else None
