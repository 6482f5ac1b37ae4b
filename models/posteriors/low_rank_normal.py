r"""Low-rank normal posterior: q(z|x) = N(μ(x), diag σ²(x) + U(x) U(x)ᵀ) with U of ``rank`` columns.

A draw is z = μ + σ ε + U η with ε ~ N(0, I_D) and η ~ N(0, I_rank). With C = I + Uᵀ diag(σ⁻²) U, of size rank × rank,

    log det Σ = Σ_d log σ_d² + log det C,    δᵀ Σ⁻¹ δ = |δ/σ|² − |chol(C)⁻¹ Uᵀ(δ/σ²)|²

so that density and KL cost O(D rank²). A rank beyond D − 1 adds nothing to what the covariance can be.
"""

from __future__ import annotations

from typing import ClassVar, final, override

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor

from models import noise
from models.context import Context
from models.distributions import CovarianceNormal
from models.options import Count, Positive
from models.positive import positive
from models.posteriors._base import Posterior
from models.triangular import solve_lower


@final
class LowRankCovarianceNormal(CovarianceNormal):
    """N(loc, diag scale² + factor factorᵀ) over events of ``event_shape`` with D elements.

    loc, scale: mean and the positive σ, ``(*batch, D)``.
    factor: U, ``(*batch, D, rank)``.
    """

    tensors: ClassVar[tuple[str, ...]] = ("loc", "scale", "factor")

    def __init__(self, loc: Tensor, scale: Tensor, factor: Tensor, event_shape: tuple[int, ...]) -> None:
        self.loc, self.scale, self.factor = loc, scale, factor
        super().__init__(loc.shape[:-1], event_shape)

    @override
    def draw(self, shape: torch.Size) -> Tensor:
        independent = noise.standard_normal(shape + self.loc.shape[-1:], self.loc)
        shared = noise.standard_normal(shape + self.factor.shape[-1:], self.loc)
        return self.loc + self.scale * independent + torch.einsum("...dr,...r->...d", self.factor, shared)

    @property
    def variance(self) -> Tensor:
        """Marginal variances as events."""
        return self.shaped(self.scale.square() + self.factor.square().sum(-1))

    @property
    @override
    def covariance_matrix(self) -> Tensor:
        return torch.diag_embed(self.scale.square()) + self.factor @ self.factor.mT

    @property
    @override
    def half_log_det(self) -> Tensor:
        return self.scale.log().sum(-1) + self._capacitance().diagonal(dim1=-2, dim2=-1).log().sum(-1)

    @override
    def squared_distance(self, difference: Tensor) -> Tensor:
        scaled = difference / self.scale
        projected = torch.einsum("...d,...dr->...r", scaled, self.factor / self.scale[..., None])
        return scaled.square().sum(-1) - solve_lower(self._capacitance(), projected).square().sum(-1)

    def _capacitance(self) -> Tensor:
        """Cholesky factor of C, ``(*batch, rank, rank)``."""
        whitened = self.factor / self.scale[..., None]
        eye = torch.eye(whitened.shape[-1], dtype=whitened.dtype, device=whitened.device)
        # C ≥ I cannot fail to factor, and the check that `cholesky` makes would wait for the device.
        return torch.linalg.cholesky_ex(eye + whitened.mT @ whitened).L


@final
class LowRankNormal(Posterior):
    """μ, σ and the columns of U from one encoder; without columns it would be ``diagonal_normal``.

    context: shapes and network.
    rank: number of columns of U.
    min_scale: floor of σ, in units of the latent.
    """

    reference = "Ong et al. 2018, arXiv:1701.03208"

    def __init__(self, context: Context, *, rank: Count = 4, min_scale: Positive = 1e-4) -> None:
        super().__init__(context)
        self.encoder = context.network.encoder(context.shapes, outputs=2 + rank)
        self.min_scale = min_scale

    @override
    def forward(self, images: Tensor) -> TorchDistribution:
        loc, raw, *columns = self.encode_flat(images)
        scale = positive(raw, self.min_scale)
        return LowRankCovarianceNormal(loc, scale, torch.stack(columns, -1), self.latent_shape)
