r"""Full-covariance normal posterior: q(z|x) = N(μ(x), L(x) L(x)ᵀ), L lower triangular with a positive diagonal.

A draw is z = μ + L ε, log det Σ = 2 Σ_d log L_dd, and the density solves with L. The encoder gives the D(D + 1)/2
numbers of L row by row, in ⌈(D + 1)/2⌉ maps of the latent shape.
"""

from __future__ import annotations

from typing import ClassVar, final, override

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor

from models import noise
from models.context import Context
from models.distributions import CovarianceNormal
from models.options import Positive
from models.positive import positive
from models.posteriors._base import Posterior
from models.triangular import solve_lower

MAX_DIM = 512


@final
class FullCovarianceNormal(CovarianceNormal):
    """N(loc, L Lᵀ) over events of ``event_shape`` with D elements.

    loc: mean, ``(*batch, D)``.
    factor: L, lower triangular with a positive diagonal, ``(*batch, D, D)``.
    """

    tensors: ClassVar[tuple[str, ...]] = ("loc", "factor")

    def __init__(self, loc: Tensor, factor: Tensor, event_shape: tuple[int, ...]) -> None:
        self.loc, self.factor = loc, factor
        super().__init__(loc.shape[:-1], event_shape)

    @override
    def draw(self, shape: torch.Size) -> Tensor:
        epsilon = noise.standard_normal(shape + self.loc.shape[-1:], self.loc)
        return self.loc + torch.einsum("...de,...e->...d", self.factor, epsilon)

    @property
    def variance(self) -> Tensor:
        """Marginal variances as events."""
        return self.shaped(self.factor.square().sum(-1))

    @property
    @override
    def covariance_matrix(self) -> Tensor:
        return self.factor @ self.factor.mT

    @property
    @override
    def half_log_det(self) -> Tensor:
        return self.factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    @override
    def squared_distance(self, difference: Tensor) -> Tensor:
        return solve_lower(self.factor, difference).square().sum(-1)


@final
class FullNormalPosterior(Posterior):
    """μ and L from one encoder.

    context: shapes and network.
    min_scale: floor of the diagonal of L, in units of the latent.

    Raises ValueError above D = 512.
    """

    reference = "Kingma & Welling 2019, arXiv:1906.02691"

    def __init__(self, context: Context, *, min_scale: Positive = 1e-4) -> None:
        super().__init__(context)
        dim = context.latent_dim
        if dim > MAX_DIM:
            raise ValueError(
                f"a full covariance for each image needs D(D + 3)/2 encoder outputs, {dim * (dim + 3) // 2:,} at "
                f"D = {dim:,}; the limit is D = {MAX_DIM}: use posterior=low_rank_normal"
            )
        self.encoder = context.network.encoder(context.shapes, outputs=1 + (dim + 2) // 2)
        self.min_scale = min_scale

    @override
    def forward(self, images: Tensor) -> TorchDistribution:
        loc, *rest = self.encode_flat(images)
        packed = torch.cat(rest, -1)
        rows = torch.arange(loc.shape[-1], device=loc.device)
        raw = packed[..., rows[:, None] * (rows[:, None] + 1) // 2 + rows.minimum(rows[:, None])]
        diagonal = positive(raw.diagonal(dim1=-2, dim2=-1), self.min_scale)
        return FullCovarianceNormal(loc, raw.tril(-1) + torch.diag_embed(diagonal), self.latent_shape)
