"""Draws of the standard prior, moved by the mean of the training codes with its sign turned."""

from __future__ import annotations

from torch import Tensor

from study.measurement.sources import Start, source
from study.measurement.sources._moments import moved_prior


@source("mean negated", "z ~ N(−m, I)", place=120)
def mean_negated(start: Start) -> Tensor | None:
    return moved_prior(start, None if start.mean is None else -start.mean)
