"""Draws of the standard prior, moved by the mean m of the training codes."""

from __future__ import annotations

from torch import Tensor

from study.measurement.sources import Start, source
from study.measurement.sources._moments import moved_prior


@source("mean of codes", "z ~ N(m, I)", place=110)
def mean_normal(start: Start) -> Tensor | None:
    return moved_prior(start, start.mean)
