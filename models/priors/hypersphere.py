r"""Hyperspherical prior: uniform on the unit sphere S^{D−1} of the flattened latent, for von Mises–Fisher posteriors.

KL(vMF(μ, κ) ‖ p) does not depend on μ and has a closed form (:mod:`~models.distributions.von_mises_fisher`). Densities
are with respect to the surface, so that no posterior over ℝ^D has a density here at all.
"""

from __future__ import annotations

from typing import final, override

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor

from models.context import Context
from models.distributions import UniformOnSphere
from models.priors._base import Prior


@final
class Hypersphere(Prior):
    """Uniform on the sphere; no parameters.

    context: shapes.

    Raises ValueError below D = 2.
    """

    reference = "Davidson et al. 2018, arXiv:1804.00891"
    support = "sphere"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        if context.latent_dim < 2:
            raise ValueError(f"prior hypersphere needs latent_dim of at least 2; got {context.latent_dim}")
        self.like: Tensor
        self.register_buffer("like", torch.zeros(context.latent_shape), persistent=False)

    @override
    def forward(self) -> TorchDistribution:
        return UniformOnSphere(self.like)
