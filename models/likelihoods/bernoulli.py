r"""Bernoulli likelihood: p(x|z) = Π_i π_i(z)^{x_i} (1 − π_i(z))^{1 − x_i}.

On grey pixels in [0, 1] the same expression is the cross-entropy, which is not a normalised density of x: binarise the
data where log-likelihoods are to be compared.
"""

from __future__ import annotations

from typing import final, override

import pyro.distributions as dist
from pyro.distributions import TorchDistribution
from torch import Tensor

from models.context import Context
from models.likelihoods._base import Likelihood


@final
class Bernoulli(Likelihood):
    """Independent Bernoulli pixels, logits from the decoder.

    context: shapes and network.
    """

    reference = "Kingma & Welling 2014, arXiv:1312.6114"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.decoder = context.network.decoder(context.shapes, outputs=1)

    @override
    def forward(self, latents: Tensor) -> TorchDistribution:
        (logits,) = self.decode(latents)
        # The support is {0, 1}; grey targets are allowed on purpose (see above), so arguments are not validated.
        return dist.Bernoulli(logits=logits, validate_args=False).to_event(len(self.image_shape))
