"""The same draws of the prior, by a decoder with batch normalisation left in its training mode."""

from __future__ import annotations

import copy

from torch import Tensor, nn

from models.vae import VAE
from study.measurement.encoding import decode
from study.measurement.sources import Start, source


@source("prior, batch statistics", "batch normalisation as in training", place=70)
def prior_batch_statistics(start: Start) -> Tensor | None:
    vae = start.vae
    if not any(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) for module in vae.likelihood.modules()):
        return None
    return decode(VAE(vae.prior, vae.posterior, copy.deepcopy(vae.likelihood).train()), start.prior_z)
