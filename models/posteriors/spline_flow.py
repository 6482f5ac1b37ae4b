r"""Spline flow posterior: couplings that bend half of the dimensions by splines, given the other half and h(x).

    v_a = g(u_a; θ(u_b, h)),    v_b = u_b,    log |det| = Σ_a log g′

with g the monotone rational-quadratic spline of :mod:`~models.posteriors._spline`. Both directions take one pass, so
the density of any point costs what a draw costs.
"""

from __future__ import annotations

from typing import final, override

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from models.context import Context
from models.options import AtLeastTwo, Count, Positive
from models.positive import positive
from models.posteriors._base import Posterior
from models.posteriors._flow import FlowDistribution, Step, nearly_zero
from models.posteriors._spline import Spline

MAX_DIM = 4096


@final
class SplineCoupling(Step):
    """Bends the first ⌈D/2⌉ dimensions by splines of ``bins`` bins.

    dim: D.
    width: units of the one ReLU layer of the network that gives θ.
    """

    def __init__(self, dim: int, width: int, bins: int) -> None:
        super().__init__()
        self.bent = (dim + 1) // 2
        self.network = nn.Sequential(
            nn.Linear(2 * dim - self.bent, width), nn.ReLU(), nearly_zero(nn.Linear(width, self.bent * (3 * bins - 1)))
        )

    @override
    def forward(self, u: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        bent, kept = u.tensor_split((self.bent,), -1)
        bent, log_slopes = self._spline(kept, h).forward(bent)
        return torch.cat([bent, kept], -1), log_slopes.sum(-1)

    @override
    def inverse(self, v: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        bent, kept = v.tensor_split((self.bent,), -1)
        bent, log_slopes = self._spline(kept, h.expand(v.shape)).inverse(bent)
        return torch.cat([bent, kept], -1), log_slopes.sum(-1)

    def _spline(self, kept: Tensor, h: Tensor) -> Spline:
        raw = self.network(torch.cat([kept, h], -1))
        return Spline.of(raw.reshape(*raw.shape[:-1], self.bent, -1))


@final
class SplineFlowPosterior(Posterior):
    """Rational-quadratic spline couplings of noise, after which come μ and σ of the encoder.

    context: shapes and network.
    transforms: number of couplings.
    hidden: units of each coupling's network.
    bins: of each spline; with one there would be no inner knot.
    min_scale: floor of σ, in units of the latent.

    Raises ValueError above D = 4,096.
    """

    reference = "Durkan et al. 2019, arXiv:1906.04032"

    def __init__(
        self,
        context: Context,
        *,
        transforms: Count = 4,
        hidden: Count = 128,
        bins: AtLeastTwo = 8,
        min_scale: Positive = 1e-4,
    ) -> None:
        super().__init__(context)
        dim = context.latent_dim
        if dim > MAX_DIM:
            raise ValueError(
                f"a spline posterior needs {(3 * bins - 1) * ((dim + 1) // 2):,} numbers a step and image at D = "
                f"{dim:,}; its limit is D = {MAX_DIM:,}: use posterior=low_rank_normal"
            )
        self.encoder = context.network.encoder(context.shapes, outputs=3)
        self.steps = nn.ModuleList(SplineCoupling(dim, hidden, bins) for _ in range(transforms))
        self.min_scale = min_scale

    @override
    def forward(self, images: Tensor) -> TorchDistribution:
        loc, raw, h = self.encode_flat(images)
        return FlowDistribution(loc, positive(raw, self.min_scale), h, self.steps, self.latent_shape)
