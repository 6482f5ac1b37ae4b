r"""Gaussian likelihood of fixed scale: p(x|z) = Π_i N(x_i; π_i(z), σ²), π in [0, 1] from the decoder by a sigmoid.

    −log p(x|z) = |x − π|²/2σ² + P log σ + (P/2) log 2π    over P pixel values

so that squared error plus KL, as often written, is σ² = ½, and a σ of one's own choice is a β of its square: of all
settings of a VAE the one most often left unsaid. :mod:`~models.likelihoods.gaussian_shared` learns it.
"""

from __future__ import annotations

from typing import final, override

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor

from models.context import Context
from models.likelihoods._base import Likelihood
from models.options import Positive


@final
class Gaussian(Likelihood):
    """Independent normal pixels of one standard deviation.

    context: shapes and network.
    scale: σ, in units of pixels in [0, 1].
    """

    reference = "Kingma & Welling 2014, arXiv:1312.6114"

    def __init__(self, context: Context, *, scale: Positive = 0.1) -> None:
        super().__init__(context)
        self.decoder = context.network.decoder(context.shapes, outputs=1)
        self.scale = scale

    @override
    def forward(self, latents: Tensor) -> TorchDistribution:
        (raw_loc,) = self.decode(latents)
        loc = raw_loc.sigmoid()
        return dist.Normal(loc, torch.full_like(loc, self.scale)).to_event(len(self.image_shape))
