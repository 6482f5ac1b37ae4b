r"""VampPrior: p(z) = (1/K) Σ_k q(z | u_k), the posterior's own aggregate over K learned pseudo-inputs u_k.

Pseudo-inputs live in [0, 1] as sigmoid(v_k). A draw chooses k uniformly and then z ~ q(z | u_k).
"""

from __future__ import annotations

from typing import final, override

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor

from models.context import Context
from models.distributions import mixture
from models.options import Count
from models.priors._pseudo_inputs import PseudoInputPrior


@final
class Vamp(PseudoInputPrior):
    """Mixture of posteriors at learned pseudo-inputs.

    context: shapes, the posterior, and examples, at which the pseudo-inputs start; without any they start at noise.
    components: K.

    Raises ValueError where the context holds no posterior.
    """

    reference = "Tomczak & Welling 2018, arXiv:1705.07120"

    def __init__(self, context: Context, *, components: Count = 50) -> None:
        super().__init__(context, components)
        (posterior,) = self._posterior
        self.support = posterior.support
        self.logits: Tensor
        self.register_buffer("logits", torch.zeros(components), persistent=False)

    @override
    def forward(self) -> TorchDistribution:
        return mixture(self.logits, self.posteriors(self.pseudo_inputs))
