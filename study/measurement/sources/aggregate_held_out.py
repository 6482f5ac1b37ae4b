"""The aggregate posterior of held-out images: reconstructions as training scores them, from draws of q(z|x)."""

from __future__ import annotations

from torch import Tensor

from study.measurement.encoding import decode
from study.measurement.sources import Start, source


@source("aggregate, held out", "z ~ q(z|x), held-out images", place=40)
def aggregate_held_out(start: Start) -> Tensor:
    return decode(start.vae, start.held_out.z)
