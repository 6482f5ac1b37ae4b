"""The prior: what a VAE is sampled from."""

from __future__ import annotations

from torch import Tensor

from study.measurement.encoding import decode
from study.measurement.sources import Start, source


@source("prior", "z ~ p(z)", place=50)
def prior(start: Start) -> Tensor:
    return decode(start.vae, start.prior_z)
