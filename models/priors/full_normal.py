r"""Full-covariance normal prior: p(z) = N(z; m, Λ⁻¹), Λ = L Lᵀ, with m and the Cholesky factor L learned.

    log p(z) = Σ_d log L_dd − ½ |Lᵀ(z − m)|² − (D/2) log 2π
    KL(N(μ, diag σ²) ‖ p) = ½ [Σ_d σ_d² (L Lᵀ)_dd + |Lᵀ(μ − m)|² − D] − Σ_d log (L_dd σ_d)

The precision is factored, and not the covariance, because density and KL are then one product with L each, where a
factor of the covariance would have to be solved for in every step; only a draw, z = m + L⁻ᵀ ε, solves. Latents of any
shape are flattened inside.
"""

from __future__ import annotations

from typing import final, override

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn
from torch.distributions import Independent, Normal
from torch.distributions.kl import register_kl

from models.context import Context
from models.distributions import EventDistribution
from models.positive import positive
from models.priors._base import Prior
from models.standard_normal import HALF_LOG_2PI

MAX_DIM = 8_192


@final
class PrecisionNormal(EventDistribution):
    """N(loc, (L Lᵀ)⁻¹) over events of ``event_shape`` with D elements.

    loc: mean, ``(D,)``.
    below, diagonal: L in parts, strictly lower ``(D, D)`` and positive ``(D,)``; no step assembles it.
    """

    def __init__(self, loc: Tensor, below: Tensor, diagonal: Tensor, event_shape: tuple[int, ...]) -> None:
        self.loc, self.below, self.diagonal = loc, below, diagonal
        super().__init__((), event_shape)

    @property
    @override
    def like(self) -> Tensor:
        return self.loc

    @property
    def factor(self) -> Tensor:
        """L, ``(D, D)``."""
        return self.below + torch.diag(self.diagonal)

    @property
    def half_log_det(self) -> Tensor:
        """½ log det Λ, 0-d."""
        return self.diagonal.log().sum()

    def squared_distance(self, z: Tensor) -> Tensor:
        """(z − m)ᵀ Λ (z − m), ``(…,)``, of vectors ``z`` ``(…, D)``."""
        centred = z - self.loc
        return (centred @ self.below + centred * self.diagonal).square().sum(-1)

    @override
    def log_density(self, z: Tensor) -> Tensor:
        return self.half_log_det - 0.5 * self.squared_distance(z) - len(self.loc) * HALF_LOG_2PI

    @override
    def draw(self, shape: torch.Size) -> Tensor:
        noise = torch.randn(len(self.loc), shape.numel(), dtype=self.loc.dtype, device=self.loc.device)
        centred = torch.linalg.solve_triangular(self.factor.T, noise, upper=True).T
        return (self.loc + centred).reshape(*shape, len(self.loc))


@register_kl(Independent, PrecisionNormal)
def _kl(q: Independent, p: PrecisionNormal) -> Tensor:
    if not isinstance(q.base_dist, Normal):
        raise NotImplementedError
    loc, variance = (moment.flatten(-len(p.event_shape)) for moment in (q.base_dist.loc, q.base_dist.variance))
    # From bf16 products the divergence would be off by whole nats, so an autocast is kept out.
    with torch.autocast(loc.device.type, enabled=False):
        traces, distance = variance @ (p.below.square().sum(1) + p.diagonal.square()), p.squared_distance(loc)
    entropies = 0.5 * variance.log().sum(-1)
    return 0.5 * (traces + distance - len(p.loc)) - p.half_log_det - entropies


@final
class FullNormalPrior(Prior):
    """One normal with a mean and a covariance of its own, started at N(0, I).

    context: shapes.

    Raises ValueError above D = 8,192, where the D² numbers take too much memory.
    """

    reference = "Kingma & Welling 2019, arXiv:1906.02691"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        dim = context.latent_dim
        if dim > MAX_DIM:
            raise ValueError(
                f"a full covariance at D = {dim:,} needs {16 * dim**2:,} bytes with gradient and moments; the limit is "
                f"D = {MAX_DIM:,} ({16 * MAX_DIM**2:,} bytes): use prior=gaussian_mixture with prior.components=1"
            )
        self.loc = nn.Parameter(torch.zeros(dim))
        self.raw_diagonal = nn.Parameter(torch.zeros(dim))
        self.below = nn.Parameter(torch.zeros(dim, dim))

    @override
    def forward(self) -> TorchDistribution:
        return PrecisionNormal(self.loc, self.below.tril(-1), positive(self.raw_diagonal), self.latent_shape)
