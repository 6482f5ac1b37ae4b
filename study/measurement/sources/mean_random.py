"""Draws of the standard prior, moved in a random direction as far as the mean of the training codes lies."""

from __future__ import annotations

from torch import Tensor

from study.measurement.sources import Start, source
from study.measurement.sources._moments import moved_prior, of_equal_norm


@source("random offset", "z ~ N(u, I), ‖u‖ = ‖m‖", place=140)
def mean_random(start: Start) -> Tensor | None:
    return moved_prior(start, of_equal_norm(start, start.mean))
