r"""VampPrior mixture model: a Gaussian mixture whose centres are encoded pseudo-inputs, c_k ~ q(z | u_k).

    p(z) = Σ_k w_k N(z; m(u_k), diag(v(u_k) + s_k²))

with m and v the mean and variance of q(z | u_k), learned weights w and learned cluster widths s_k: what is left of
z | k ~ N(c_k, diag s_k²) after the centre is integrated out, exactly so where q is a diagonal normal. The VampPrior is
the case s = 0 with equal weights. Left out of the paper: the Dirichlet-process prior on w and the Wishart prior on s⁻²,
and with them the alternation of variational and empirical-Bayes steps: here w, s and u are trained with the networks.
"""

from __future__ import annotations

import math
from typing import final, override

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn
from torch.nn.functional import softplus

from models.context import Context
from models.distributions import NormalMixture
from models.priors._base import Prior, check_count, moments_of, posterior_of
from models.priors._pseudo_inputs import first_pseudo_inputs


@final
class VampMixture(Prior):
    """``components`` clusters of equal weight at first; pseudo-inputs start as the VampPrior's, s at ``width``."""

    reference = "Stirn & Knowles 2024, arXiv:2402.04412"

    def __init__(self, context: Context, *, components: int = 50, width: float = 0.1) -> None:
        super().__init__(context)
        check_count("components", components, max(context.latent_dim, math.prod(context.image_shape)))
        if width <= 0:
            raise ValueError(f"prior.width must be positive; got {width}")
        # A tuple keeps the shared module out of this one's parameters and state: it belongs to the VAE.
        self._posterior = (posterior_of(context, "VampPrior mixture model"),)
        self.raw_inputs = nn.Parameter(first_pseudo_inputs(context, components))
        self.logits = nn.Parameter(torch.zeros(components))
        self.raw_width = nn.Parameter(torch.full((components, *context.latent_shape), math.log(math.expm1(width))))

    @property
    def pseudo_inputs(self) -> Tensor:
        """The images u_k, ``(components, *image_shape)`` in [0, 1]."""
        return self.raw_inputs.sigmoid()

    @override
    def forward(self) -> TorchDistribution:
        (posterior,) = self._posterior
        mean, variance = moments_of(posterior(self.pseudo_inputs), "VampPrior mixture model")
        return NormalMixture(self.logits, mean, (variance + softplus(self.raw_width).square()).sqrt())
