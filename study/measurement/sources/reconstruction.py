"""Reconstruction of held-out images from the mean of q(z|x): the best that the decoder does."""

from __future__ import annotations

from torch import Tensor

from study.measurement.encoding import decode
from study.measurement.sources import Start, source


@source("reconstruction", "z = μ(x)", place=10)
def reconstruction(start: Start) -> Tensor:
    return decode(start.vae, start.held_out.loc)
