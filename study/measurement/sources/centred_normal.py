"""Draws of a normal with the covariance C of the training codes, and no mean."""

from __future__ import annotations

from torch import Tensor

from study.measurement.encoding import decode
from study.measurement.sources import Start, source


@source("covariance of codes", "z ~ N(0, C)", place=170)
def centred_normal(start: Start) -> Tensor | None:
    if start.mean is None or not start.is_standard:
        return None
    try:
        z = start.aggregate.centred_normal_draws(start.prior_z.flatten(1), start.stream("centred_normal"))
    except ValueError:  # posteriors without a covariance in closed form
        return None
    return decode(start.vae, start.shaped(z))
