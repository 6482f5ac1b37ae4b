"""Held-out images themselves: the floor that no source can be expected to pass."""

from __future__ import annotations

from torch import Tensor

from study.measurement.sources import Start, source


@source("real", "held-out images", place=0)
def held_out(start: Start) -> Tensor:
    return start.held_out_images
