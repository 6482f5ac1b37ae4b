r"""Full covariances Σₖ = Pₖ⁻¹, with features (z, zᵢzⱼ for i ≤ j) and natural parameters (Pₖμₖ, −½Pₖ folded)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self, final, override

import torch
from torch import Tensor

from analysis.mixtures.covariances._base import (
    ComponentDensities,
    Components,
    Moments,
    cholesky,
    half_log_determinants,
    matmul,
    shrink,
    standard_normal,
    weighted_means,
)


@final
@dataclass(frozen=True, eq=False)
class Full(Components):
    """K Gaussians with unrestricted ``covariances`` ``(K, D, D)``."""

    covariances: Tensor

    name = "full"
    separable = False

    @staticmethod
    @override
    def count_parameters(num_components: int, dim: int, rank: int | None) -> int:
        return num_components * (dim + dim * (dim + 1) // 2)

    @classmethod
    @override
    def spread(cls, means: Tensor, variance: Tensor, rank: int | None, generator: torch.Generator) -> Self:
        return cls(means, variance.diag().expand(len(means), -1, -1))

    @override
    def densities(self, log_weights: Tensor, dtype: torch.dtype) -> ComponentDensities:
        return _FullDensities(self, log_weights, dtype)

    @override
    def maximise(self, counts: Tensor, moments: Moments, variance: Tensor, regularisation: float) -> Self:
        dim = len(variance)
        means, folded = weighted_means(counts, moments[0]).split([dim, dim * (dim + 1) // 2], dim=1)
        row, column = torch.triu_indices(dim, dim, device=means.device)
        second = means.new_empty(len(means), dim, dim)
        second[:, row, column] = folded
        second[:, column, row] = folded
        covariances = second - means[:, :, None] * means[:, None, :]
        return type(self)(means, shrink(counts, covariances, variance.diag(), regularisation))

    @override
    def log_prior(self, variance: Tensor) -> Tensor:
        scale_tril = cholesky(self.covariances)
        precision = torch.cholesky_inverse(scale_tril).diagonal(dim1=-2, dim2=-1)
        return -(half_log_determinants(scale_tril) + 0.5 * precision @ variance).sum()

    @override
    def spreads(self) -> dict[str, Tensor]:
        return {"scale_tril": cholesky(self.covariances)}

    @override
    def deviations(self, component: int, num: int, generator: torch.Generator) -> Tensor:
        scale_tril = cholesky(self.covariances[component])
        return standard_normal(num, len(scale_tril), scale_tril, generator) @ scale_tril.T


class _FullDensities(ComponentDensities):
    def __init__(self, components: Full, log_weights: Tensor, dtype: torch.dtype) -> None:
        means, dim = components.means, components.means.shape[1]
        scale_tril = cholesky(components.covariances)
        precision = torch.cholesky_inverse(scale_tril)
        projected = (precision @ means[:, :, None]).squeeze(-1)
        self.row, self.column = torch.triu_indices(dim, dim, device=means.device)
        folded = precision[:, self.row, self.column] * torch.where(self.row == self.column, -0.5, -1.0)
        self.weights = torch.cat([projected, folded], dim=1).to(dtype)
        mahalanobis = (means * projected).sum(1)
        self.bias = log_weights - 0.5 * (mahalanobis + dim * math.log(2 * math.pi)) - half_log_determinants(scale_tril)
        self.width = self.weights.shape[1]

    def features(self, codes: Tensor) -> Tensor:
        return torch.cat([codes, codes[self.row] * codes[self.column]])

    def log_joint(self, features: Tensor) -> Tensor:
        return matmul(self.bias, self.weights, features)

    def moments(self, features: Tensor, responsibilities: Tensor) -> Moments:
        return (responsibilities @ features.T,)
