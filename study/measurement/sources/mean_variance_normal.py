"""Draws of a normal with the mean and the variances of the training codes, and no correlations."""

from __future__ import annotations

from torch import Tensor

from study.measurement.sources import Start, source
from study.measurement.sources._moments import moved_prior


@source("mean and variances", "z ~ N(m, diag v)", place=160)
def mean_variance_normal(start: Start) -> Tensor | None:
    return moved_prior(start, start.mean, start.deviation)
