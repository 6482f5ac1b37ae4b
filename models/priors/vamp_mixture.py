r"""VampPrior mixture model: a Gaussian mixture whose centres are encoded pseudo-inputs, c_k ~ q(z | u_k).

    p(z) = Σ_k w_k N(z; m(u_k), diag(v(u_k) + s_k²))

with m and v the mean and variance of q(z | u_k), learned weights w and learned cluster widths s_k: what is left of
z | k ~ N(c_k, diag s_k²) after the centre is integrated out, exactly so where q is a diagonal normal. The VampPrior is
the case s = 0 with equal weights. Left out of the paper: the Dirichlet-process prior on w and the Wishart prior on s⁻²,
and with them the alternation of variational and empirical-Bayes steps: here w, s and u are trained with the networks.
"""

from __future__ import annotations

from typing import final, override

import torch
from pyro.distributions import TorchDistribution
from torch import nn
from torch.nn.functional import softplus

from models.context import Context
from models.distributions import NormalMixture
from models.options import Count, Positive
from models.positive import inverse_softplus
from models.priors._pseudo_inputs import PseudoInputPrior


@final
class VampMixture(PseudoInputPrior):
    """Mixture of widened posteriors at learned pseudo-inputs, with learned weights that start equal.

    context: shapes, examples, and the posterior.
    components: K clusters.
    width: where every s starts, in units of the latent.

    Raises ValueError where the context holds no posterior.
    """

    reference = "Stirn & Knowles 2024, arXiv:2402.04412"

    def __init__(self, context: Context, *, components: Count = 50, width: Positive = 0.1) -> None:
        super().__init__(context, components)
        self.logits = nn.Parameter(torch.zeros(components))
        self.raw_width = nn.Parameter(torch.full((components, *context.latent_shape), inverse_softplus(width)))

    @override
    def forward(self) -> TorchDistribution:
        mean, variance = self.moments(self.pseudo_inputs)
        return NormalMixture(self.logits, mean, (variance + softplus(self.raw_width).square()).sqrt())
