r"""Diagonal covariances Σₖ = diag(σₖ²), with features (z, z²) and natural parameters (μₖ/σₖ², −1/2σₖ²)."""

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
    matmul,
    require_positive,
    shrink,
    standard_normal,
    weighted_means,
)


@final
@dataclass(frozen=True, eq=False)
class Diagonal(Components):
    """K Gaussians with independent dimensions; ``variances`` ``(K, D)``."""

    variances: Tensor

    name = "diagonal"
    separable = True

    @staticmethod
    @override
    def count_parameters(num_components: int, dim: int, rank: int | None) -> int:
        return num_components * 2 * dim

    @classmethod
    @override
    def spread(cls, means: Tensor, variance: Tensor, rank: int | None, generator: torch.Generator) -> Self:
        return cls(means, variance.expand_as(means))

    @override
    def densities(self, log_weights: Tensor, dtype: torch.dtype) -> ComponentDensities:
        require_positive(self.variances)
        return _DiagonalDensities(self, log_weights, dtype)

    @override
    def maximise(self, counts: Tensor, moments: Moments, variance: Tensor, regularisation: float) -> Self:
        means, second = weighted_means(counts, moments[0]).chunk(2, dim=1)
        return type(self)(means, shrink(counts, second - means.square(), variance, regularisation))

    @override
    def log_prior(self, variance: Tensor) -> Tensor:
        return -0.5 * (self.variances.log() + variance / self.variances).sum()

    @override
    def spreads(self) -> dict[str, Tensor]:
        return {"scale": self.variances.sqrt()}

    @override
    def deviations(self, component: int, num: int, generator: torch.Generator) -> Tensor:
        scale = self.variances[component].sqrt()
        return standard_normal(num, len(scale), scale, generator) * scale


class _DiagonalDensities(ComponentDensities):
    def __init__(self, components: Diagonal, log_weights: Tensor, dtype: torch.dtype) -> None:
        means, variances = components.means, components.variances
        self.weights = torch.cat([means / variances, -0.5 / variances], dim=1).to(dtype)
        normaliser = (means.square() / variances + (2 * math.pi * variances).log()).sum(1)
        self.bias = log_weights - 0.5 * normaliser
        self.width = self.weights.shape[1]

    def features(self, codes: Tensor) -> Tensor:
        features = codes.new_empty(self.width, codes.shape[1])
        features[: len(codes)] = codes
        torch.mul(codes, codes, out=features[len(codes) :])
        return features

    def log_joint(self, features: Tensor) -> Tensor:
        return matmul(self.bias, self.weights, features)

    def moments(self, features: Tensor, responsibilities: Tensor) -> Moments:
        return (responsibilities @ features.T,)
