"""Draws of a normal with the covariance C of the training codes, and no mean."""

from __future__ import annotations

from torch import Tensor

from study.measurement.encoding import decode
from study.measurement.sources import Start, source
from study.measurement.sources._moments import coloured


@source("covariance of codes", "z ~ N(0, C)", place=170)
def centred_normal(start: Start) -> Tensor | None:
    z = coloured(start, start.prior_z.flatten(1), 0.5) if start.is_standard else None
    return None if z is None else decode(start.vae, start.shaped(z))
