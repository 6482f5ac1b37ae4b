"""Draws of the standard prior, moved by the mean of the training codes with its numbers in random order."""

from __future__ import annotations

from torch import Tensor

from study.measurement.sources import Start, source
from study.measurement.sources._moments import moved_prior, permuted


@source("mean permuted", "z ~ N(Πm, I), Π a permutation", place=130)
def mean_permuted(start: Start) -> Tensor | None:
    return moved_prior(start, permuted(start, start.mean))
