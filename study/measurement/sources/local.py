"""Draws about the codes of held-out images with the prior's own scale."""

from __future__ import annotations

from torch import Tensor

from study.measurement.sources import Start, local_sample, source


@source("around a code", "z ~ N(μ(x), I)", place=20)
def local(start: Start) -> Tensor:
    return local_sample(start.vae, start.held_out.loc, 1.0, 1, start.stream("local"))[0]
