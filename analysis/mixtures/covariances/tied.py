r"""One covariance Σ = LLᵀ for all components, with features (z, ‖L⁻¹z‖²).

The quadratic term is the same for every component, so the components differ by linear functions only: the boundaries
are those of linear discriminant analysis. Σ is the total second moment of the codes less that of the means.
"""

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
class Tied(Components):
    """K Gaussians with one covariance.

    shared: Σ, ``(D, D)``.
    """

    shared: Tensor

    name = "tied"
    separable = False

    @staticmethod
    @override
    def count_parameters(num_components: int, dim: int, rank: int | None) -> int:
        return num_components * dim + dim * (dim + 1) // 2

    @classmethod
    @override
    def spread(cls, means: Tensor, variance: Tensor, rank: int | None, generator: torch.Generator) -> Self:
        return cls(means, variance.diag())

    @override
    def densities(self, log_weights: Tensor, dtype: torch.dtype) -> ComponentDensities:
        return _TiedDensities(self, log_weights, dtype)

    @override
    def maximise(self, counts: Tensor, moments: Moments, variance: Tensor, regularisation: float) -> Self:
        sums, second = moments
        means = weighted_means(counts, sums)
        total = counts.sum()[None]
        within = (second - sums.T @ means) / total
        covariance = shrink(total, within[None], variance.diag(), regularisation)
        return type(self)(means, covariance.squeeze(0))

    @override
    def log_prior(self, variance: Tensor) -> Tensor:
        scale_tril = cholesky(self.shared)
        return -half_log_determinants(scale_tril) - 0.5 * torch.cholesky_inverse(scale_tril).diagonal() @ variance

    @override
    def spreads(self) -> dict[str, Tensor]:
        return {"scale_tril": cholesky(self.shared).expand(len(self.means), -1, -1)}

    @override
    def deviations(self, component: int, num: int, generator: torch.Generator) -> Tensor:
        scale_tril = cholesky(self.shared)
        return standard_normal(num, len(scale_tril), scale_tril, generator) @ scale_tril.T


class _TiedDensities(ComponentDensities):
    def __init__(self, components: Tied, log_weights: Tensor, dtype: torch.dtype) -> None:
        means, dim = components.means, components.means.shape[1]
        scale_tril = cholesky(components.shared)
        identity = torch.eye(dim, dtype=means.dtype, device=means.device)
        self.whiten = torch.linalg.solve_triangular(scale_tril, identity, upper=False).to(dtype)
        projected = torch.cholesky_solve(means.T, scale_tril).T
        self.weights = torch.cat([projected, torch.full_like(means[:, :1], -0.5)], dim=1).to(dtype)
        normaliser = 0.5 * (means * projected).sum(1) + half_log_determinants(scale_tril)
        self.bias = log_weights - normaliser - 0.5 * dim * math.log(2 * math.pi)
        self.width = self.weights.shape[1]

    def features(self, codes: Tensor) -> Tensor:
        return torch.cat([codes, (self.whiten @ codes).square().sum(0, keepdim=True)])

    def log_joint(self, features: Tensor) -> Tensor:
        return matmul(self.bias, self.weights, features)

    def moments(self, features: Tensor, responsibilities: Tensor) -> Moments:
        codes = features[:-1]
        return responsibilities @ codes.T, codes @ codes.T
