"""The aggregate posterior of the training images: draws of q(z|x)."""

from __future__ import annotations

from torch import Tensor

from study.measurement.encoding import decode
from study.measurement.sources import Start, source


@source("aggregate", "z ~ q(z|x), training images", place=30)
def aggregate_train(start: Start) -> Tensor:
    return decode(start.vae, start.train)
