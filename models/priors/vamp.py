r"""VampPrior: p(z) = (1/K) Σ_k q(z | u_k), the posterior's own aggregate over K learned pseudo-inputs u_k.

Pseudo-inputs live in [0, 1] as sigmoid(v_k). A draw chooses k uniformly and then z ~ q(z | u_k).
"""

from __future__ import annotations

import math
from typing import final, override

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from models.context import Context
from models.distributions import mixture
from models.priors._base import Prior, check_count, posterior_of
from models.priors._pseudo_inputs import first_pseudo_inputs


@final
class Vamp(Prior):
    """``components`` pseudo-inputs, started at training images where the context has some, else at faint noise."""

    reference = "Tomczak & Welling 2018, arXiv:1705.07120"

    def __init__(self, context: Context, *, components: int = 50) -> None:
        super().__init__(context)
        check_count("components", components, max(context.latent_dim, math.prod(context.image_shape)))
        # A tuple keeps the shared module out of this one's parameters and state: it belongs to the VAE.
        self._posterior = (posterior_of(context, "VampPrior"),)
        self.support = self._posterior[0].support
        self.raw_inputs = nn.Parameter(first_pseudo_inputs(context, components))
        self.logits: Tensor
        self.register_buffer("logits", torch.zeros(components), persistent=False)

    @property
    def pseudo_inputs(self) -> Tensor:
        """The images u_k, ``(components, *image_shape)`` in [0, 1]."""
        return self.raw_inputs.sigmoid()

    @override
    def forward(self) -> TorchDistribution:
        (posterior,) = self._posterior
        return mixture(self.logits, posterior(self.pseudo_inputs))
