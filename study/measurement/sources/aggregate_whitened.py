"""The aggregate posterior of the training images whitened, C^(−½)(z − m): the moments of N(0, I), and all else kept."""

from __future__ import annotations

from torch import Tensor

from study.measurement.encoding import decode
from study.measurement.sources import Start, source
from study.measurement.sources._moments import coloured


@source("aggregate, whitened", "C^(−½)(z − m), z ~ q_N", place=200)
def aggregate_whitened(start: Start) -> Tensor | None:
    if start.mean is None:
        return None
    z = coloured(start, start.train.flatten(1) - start.mean, -0.5)
    return None if z is None else decode(start.vae, start.shaped(z))
