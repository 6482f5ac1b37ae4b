"""The aggregate posterior of the training images less its mean."""

from __future__ import annotations

from torch import Tensor

from study.measurement.encoding import decode
from study.measurement.sources import Start, source


@source("aggregate, centred", "z − m, z ~ q_N", place=180)
def aggregate_centred(start: Start) -> Tensor | None:
    if start.mean is None:
        return None
    return decode(start.vae, start.shaped(start.train.flatten(1) - start.mean))
