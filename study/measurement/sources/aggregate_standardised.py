"""The aggregate posterior of the training images with mean 0 and variance 1 in every dimension."""

from __future__ import annotations

from torch import Tensor

from study.measurement.encoding import decode
from study.measurement.sources import Start, source


@source("aggregate, standardised", "(z_d − m_d)/√v_d, z ~ q_N", place=190)
def aggregate_standardised(start: Start) -> Tensor | None:
    if start.mean is None or start.deviation is None:
        return None
    return decode(start.vae, start.shaped((start.train.flatten(1) - start.mean) / start.deviation))
