r"""Full-covariance normal prior: p(z) = N(z; m, Λ⁻¹), Λ = L Lᵀ, with m and the Cholesky factor L learned.

    log p(z) = Σ_d log L_dd − ½ |Lᵀ(z − m)|² − (D/2) log 2π
    KL(N(μ, diag σ²) ‖ p) = ½ [Σ_d σ_d² (L Lᵀ)_dd + |Lᵀ(μ − m)|² − D] − Σ_d log (L_dd σ_d)

The precision is factored, and not the covariance, because density and KL are then one product with L each, where a
factor of the covariance would have to be solved for in every step; only a draw, z = m + L⁻ᵀ ε, solves. Latents of any
shape are flattened inside.
"""

from __future__ import annotations

import math
from typing import final, override

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn
from torch.distributions import Independent, Normal, constraints
from torch.distributions.kl import register_kl
from torch.nn.functional import softplus

from models.context import Context
from models.posteriors._base import UNIT
from models.priors._base import Prior

MAX_DIM = 8_192


@final
class PrecisionNormal(TorchDistribution):
    """N(loc, (L Lᵀ)⁻¹) over events of ``event_shape`` with D elements.

    loc: ``(D,)``. below, diagonal: L in parts, strictly lower ``(D, D)`` and positive ``(D,)``; no step assembles it.
    """

    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012 - torch's own protocol
    has_rsample = False

    def __init__(
        self,
        loc: Tensor,
        below: Tensor,
        diagonal: Tensor,
        event_shape: tuple[int, ...],
        batch_shape: tuple[int, ...] = (),
    ) -> None:
        self.loc, self.below, self.diagonal = loc, below, diagonal
        super().__init__(torch.Size(batch_shape), torch.Size(event_shape), validate_args=False)

    @constraints.dependent_property
    def support(self) -> constraints.Constraint:
        """All real events."""
        return constraints.independent(constraints.real, len(self.event_shape))

    @property
    def factor(self) -> Tensor:
        """L, ``(D, D)``."""
        return self.below + torch.diag(self.diagonal)

    @property
    def half_log_det(self) -> Tensor:
        """½ log det Λ."""
        return self.diagonal.log().sum()

    def expand(
        self, batch_shape: torch.Size | list[int] | tuple[int, ...], _instance: object = None
    ) -> PrecisionNormal:
        """The same normal, independently for each element of ``batch_shape``."""
        return PrecisionNormal(self.loc, self.below, self.diagonal, self.event_shape, tuple(batch_shape))

    def quadratic(self, value: Tensor) -> Tensor:
        """(z − m)ᵀ Λ (z − m) of ``value`` ``(…, *event_shape)``, ``(…,)``."""
        z = value.flatten(value.dim() - len(self.event_shape)) - self.loc
        # Products of three digits would be off by whole nats, so a bf16 autocast is kept out.
        with torch.autocast(z.device.type, enabled=False):
            return (z @ self.below + z * self.diagonal).square().sum(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density of ``value`` ``(…, *event_shape)`` in nats, ``(…,)``."""
        return self.half_log_det - 0.5 * self.quadratic(value) - 0.5 * len(self.loc) * math.log(2 * math.pi)

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Draws of shape ``sample_shape + batch_shape + event_shape``, without gradient."""
        with torch.no_grad():
            shape = torch.Size(sample_shape) + self.batch_shape
            noise = torch.randn(len(self.loc), shape.numel(), dtype=self.loc.dtype, device=self.loc.device)
            centred = torch.linalg.solve_triangular(self.factor.T, noise, upper=True).T
            return (self.loc + centred).reshape(shape + self.event_shape)


@register_kl(Independent, PrecisionNormal)
def _kl(q: Independent, p: PrecisionNormal) -> Tensor:
    if not isinstance(q.base_dist, Normal):
        raise NotImplementedError
    loc, variance = q.base_dist.loc, q.base_dist.variance.flatten(-len(p.event_shape))
    with torch.autocast(loc.device.type, enabled=False):
        traces = variance @ (p.below.square().sum(1) + p.diagonal.square())
    entropies = 0.5 * variance.log().sum(-1)
    return 0.5 * (traces + p.quadratic(loc) - len(p.loc)) - p.half_log_det - entropies


@final
class FullNormal(Prior):
    """One normal with a mean and a covariance of its own, started at N(0, I); D is limited by its D² numbers."""

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
        return PrecisionNormal(self.loc, self.below.tril(-1), softplus(self.raw_diagonal + UNIT), self.latent_shape)
