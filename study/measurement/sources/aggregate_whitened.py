"""The aggregate posterior of the training images whitened, C^(−½)(z − m): the moments of N(0, I), and all else kept.

Up to D = 2,048, for it takes all eigenvectors of C."""

from __future__ import annotations

from torch import Tensor

from study.measurement.encoding import decode
from study.measurement.sources import Start, source


@source("aggregate, whitened", "C^(−½)(z − m), z ~ q_N", place=200)
def aggregate_whitened(start: Start) -> Tensor | None:
    if start.mean is None or start.eigenvectors is None:
        return None
    values, directions = start.eigenvectors
    z = (start.train.flatten(1) - start.mean) @ (directions * values**-0.5) @ directions.T
    return decode(start.vae, start.shaped(z))
