"""The same draws of the prior, moved along their radius to the shell ‖z‖ = √D: directions alone are left to chance."""

from __future__ import annotations

import math

from torch import Tensor

from study.measurement.encoding import decode
from study.measurement.sources import Start, source


@source("prior, on the shell", "z ~ p(z), moved to ‖z‖ = √D", place=60)
def shell_prior(start: Start) -> Tensor:
    z = start.prior_z
    radius = math.sqrt(start.latent_dim) / z.flatten(1).norm(dim=1)
    return decode(start.vae, z * radius.view(-1, *[1] * (z.ndim - 1)))
