"""Draws of a normal with the variances v of the training codes, dimension by dimension, and no mean."""

from __future__ import annotations

import torch
from torch import Tensor

from study.measurement.sources import Start, source
from study.measurement.sources._moments import moved_prior


@source("variances of codes", "z ~ N(0, diag v)", place=150)
def variance_normal(start: Start) -> Tensor | None:
    if start.deviation is None:
        return None
    return moved_prior(start, torch.zeros_like(start.deviation), start.deviation)
