r"""Low-rank plus diagonal covariances Σₖ = ΛₖΛₖᵀ + Ψₖ: a mixture of factor analysers.

Ghahramani & Hinton 1996 (CRG-TR-96-1), with a noise Ψₖ of each component's own (McLachlan & Peel 2000, §8). Nothing of
size D × D is formed: with M = I + ΛᵀΨ⁻¹Λ = LLᵀ (r × r) and A = Ψ⁻¹ΛL⁻ᵀ (D × r),

    (z−μ)ᵀΣ⁻¹(z−μ) = (z−μ)ᵀΨ⁻¹(z−μ) − ‖Aᵀ(z−μ)‖²      (Woodbury)
    ln|Σ| = ln|Ψ| + ln|M|                               (matrix determinant lemma)

The M-step sets μₖ to the weighted mean, its exact maximiser whatever Σₖ, and then takes one EM step of factor analysis
(Rubin & Thayer 1982) for the weighted covariance S about that mean. With W = AᵀSA that step reads

    Λ ← S A (I + W)⁻¹ Lᵀ,    Ψ ← diag(S − S A (I + W)⁻¹ Aᵀ S)

so only diag S and SA are accumulated. Being a step uphill and not the maximum, it makes EM a generalised EM, as
monotone as EM itself. The prior applies to Ψ: the loadings need none.
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
    require_positive,
    shrink,
    standard_normal,
    weighted_means,
)


@final
@dataclass(frozen=True, eq=False)
class LowRank(Components):
    """K factor analysers.

    loadings: Λ, ``(K, D, r)``.
    noise: variances Ψ, ``(K, D)``.
    """

    loadings: Tensor
    noise: Tensor

    name = "low_rank"
    separable = True
    has_rank = True

    @staticmethod
    @override
    def count_parameters(num_components: int, dim: int, rank: int | None) -> int:
        assert rank is not None
        rotations = rank * (rank - 1) // 2  # Λ and ΛR give the same Σ
        return num_components * (dim + min(dim * (rank + 1) - rotations, dim * (dim + 1) // 2))

    @property
    @override
    def rank(self) -> int:
        return self.loadings.shape[-1]

    @classmethod
    @override
    def spread(cls, means: Tensor, variance: Tensor, rank: int | None, generator: torch.Generator) -> Self:
        assert rank is not None
        directions = standard_normal(means.numel(), rank, means, generator).reshape(*means.shape, rank)
        return cls(means, directions * (variance / rank).sqrt()[:, None], variance.expand_as(means))

    @override
    def densities(self, log_weights: Tensor, dtype: torch.dtype) -> ComponentDensities:
        require_positive(self.noise)
        return _LowRankDensities(self, log_weights, dtype)

    def projection(self) -> tuple[Tensor, Tensor]:
        """A = Ψ⁻¹ΛL⁻ᵀ ``(K, D, r)`` and the Cholesky factor L ``(K, r, r)`` of I + ΛᵀΨ⁻¹Λ."""
        scaled = self.loadings / self.noise[..., None]
        identity = torch.eye(self.loadings.shape[-1], dtype=scaled.dtype, device=scaled.device)
        scale_tril = cholesky(identity + self.loadings.mT @ scaled)
        return torch.linalg.solve_triangular(scale_tril.mT, scaled, upper=True, left=False), scale_tril

    @override
    def maximise(self, counts: Tensor, moments: Moments, variance: Tensor, regularisation: float) -> Self:
        means, second = weighted_means(counts, moments[0]).chunk(2, dim=1)
        projection, scale_tril = self.projection()
        cross = weighted_means(counts, moments[1].unflatten(1, (len(means), -1)).transpose(0, 1))
        cross = cross - means[..., None] * (means[:, None, :] @ projection)
        identity = torch.eye(cross.shape[-1], dtype=cross.dtype, device=cross.device)
        explained = torch.linalg.solve(identity + projection.mT @ cross, cross, left=False)
        noise = second - means.square() - (explained * cross).sum(-1)
        return type(self)(means, explained @ scale_tril.mT, shrink(counts, noise, variance, regularisation))

    @override
    def log_prior(self, variance: Tensor) -> Tensor:
        return -0.5 * (self.noise.log() + variance / self.noise).sum()

    @override
    def spreads(self) -> dict[str, Tensor]:
        return {"diagonal": self.noise, "factor": self.loadings}

    @override
    def deviations(self, component: int, num: int, generator: torch.Generator) -> Tensor:
        loadings, scale = self.loadings[component], self.noise[component].sqrt()
        dim, rank = loadings.shape
        factors, residuals = standard_normal(num, rank + dim, scale, generator).split([rank, dim], dim=1)
        return torch.addmm(residuals * scale, factors, loadings.T)


class _LowRankDensities(ComponentDensities):
    def __init__(self, components: LowRank, log_weights: Tensor, dtype: torch.dtype) -> None:
        means, noise = components.means, components.noise
        projection, scale_tril = components.projection()
        self.weights = torch.cat([means / noise, -0.5 / noise], dim=1).to(dtype)
        normaliser = (means.square() / noise + (2 * math.pi * noise).log()).sum(1)
        self.bias = log_weights - 0.5 * normaliser - half_log_determinants(scale_tril)
        self.projection = projection.mT.flatten(0, 1).to(dtype)
        self.offset = (means[:, None, :] @ projection).flatten()
        self.rank = projection.shape[-1]
        self.width = self.weights.shape[1] + len(self.projection)

    def features(self, codes: Tensor) -> Tensor:
        projected = matmul(torch.zeros_like(self.offset), self.projection, codes)
        return torch.cat([codes, codes.square(), projected.to(codes.dtype)])

    def log_joint(self, features: Tensor) -> Tensor:
        codes, projected = features.tensor_split([self.weights.shape[1]])
        deviation = projected - self.offset[:, None]
        return matmul(self.bias, self.weights, codes) + 0.5 * deviation.square().unflatten(0, (-1, self.rank)).sum(1)

    def moments(self, features: Tensor, responsibilities: Tensor) -> Moments:
        codes, projected = features.tensor_split([self.weights.shape[1]])
        linear = codes[: len(codes) // 2]
        return (
            responsibilities @ codes.T,
            linear @ (responsibilities.repeat_interleave(self.rank, dim=0) * projected).T,
        )
