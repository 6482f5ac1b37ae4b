r"""Gaussian likelihood of one learned scale: p(x|z) = Π_i N(x_i; π_i(z), σ²), σ shared by all pixels and images.

At the optimum σ² is the mean squared error, and the weight of distortion against rate is learned instead of chosen.
Rybkin et al. also set σ² in each update to the batch's squared error, which is where this parameter goes; that form
depends on x and is a profile of the likelihood, not a density.

Densities of grey pixels are unbounded: where images are 0 or 1 in every pixel, σ falls to its floor and log p(x) says
how low the floor is. Compare such log-densities only between models of one floor.
"""

from __future__ import annotations

from typing import final, override

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn
from torch.nn.functional import softplus

from models.context import Context
from models.likelihoods._base import Likelihood
from models.options import Positive
from models.positive import inverse_softplus


@final
class GaussianShared(Likelihood):
    """Independent normal pixels; σ starts at ``scale`` and stays above ``min_scale``.

    context: shapes and network.
    scale, min_scale: in units of pixels in [0, 1].

    Raises ValueError unless min_scale < scale.
    """

    reference = "Rybkin et al. 2021, arXiv:2006.13202"

    def __init__(self, context: Context, *, scale: Positive = 0.2, min_scale: Positive = 1e-3) -> None:
        super().__init__(context)
        if min_scale >= scale:
            raise ValueError(f"likelihood needs min_scale < scale; got {min_scale} and {scale}")
        self.decoder = context.network.decoder(context.shapes, outputs=1)
        self.raw_scale = nn.Parameter(torch.tensor(inverse_softplus(scale - min_scale)))
        self.min_scale = min_scale

    @override
    def forward(self, latents: Tensor) -> TorchDistribution:
        (raw_loc,) = self.decode(latents)
        loc = raw_loc.sigmoid()
        scale = softplus(self.raw_scale) + self.min_scale
        return dist.Normal(loc, scale.expand_as(loc)).to_event(len(self.image_shape))
