r"""Gaussian likelihood with a scale for each latent: p(x|z) = Π_i N(x_i; π_i(z), σ²(z)), both from the decoder.

σ(z), one number for all pixels of an image, is the mean of a second map of the decoder, made positive by a softplus.
It is predicted from z, so p(x|z) is a density of x. The optimal σ*²(x, z) = mean (x_i − π_i)² of Rybkin et al. is not:
with it the "likelihood" of any image is its best over σ and does not integrate to one. The remarks of
:mod:`~models.likelihoods.gaussian_shared` on floors hold here too.
"""

from __future__ import annotations

from typing import final, override

import pyro.distributions as dist
from pyro.distributions import TorchDistribution
from torch import Tensor

from models.context import Context
from models.likelihoods._base import Likelihood
from models.options import Positive
from models.positive import positive


@final
class GaussianPredicted(Likelihood):
    """Independent normal pixels; σ(z) starts near ``scale`` and stays above ``min_scale``.

    context: shapes and network.
    scale, min_scale: in units of pixels in [0, 1].

    Raises ValueError unless min_scale < scale.
    """

    reference = "after Rybkin et al. 2021, arXiv:2006.13202"

    def __init__(self, context: Context, *, scale: Positive = 0.2, min_scale: Positive = 1e-3) -> None:
        super().__init__(context)
        if min_scale >= scale:
            raise ValueError(f"likelihood needs min_scale < scale; got {min_scale} and {scale}")
        self.decoder = context.network.decoder(context.shapes, outputs=2)
        self.start = scale - min_scale
        self.min_scale = min_scale

    @override
    def forward(self, latents: Tensor) -> TorchDistribution:
        raw_loc, raw_scale = self.decode(latents)
        loc, pixels = raw_loc.sigmoid(), tuple(range(-len(self.image_shape), 0))
        scale = positive(raw_scale.mean(pixels, keepdim=True), self.min_scale, start=self.start)
        return dist.Normal(loc, scale.expand_as(loc)).to_event(len(self.image_shape))
