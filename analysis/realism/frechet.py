r"""Fréchet distance between Gaussians fitted to two samples of features (Dowson & Landau 1982).

    d² = ‖m₁ − m₂‖² + tr C₁ + tr C₂ − 2 tr (C₁^{½} C₂ C₁^{½})^{½}

The last trace is the sum of the singular values of H₁ᵀH₂ for any roots C = HHᵀ, which spares a root of rounding errors.
The features are the caller's: only on Inception-v3's is d² the "FID" of Heusel et al. (2017, arXiv:1706.08500), and
numbers on other features compare with each other alone.

Sample moments differ where laws agree, so d² is biased upward by O(F/n): it compares at equal n only, beside the value
between two samples of real images. What lies beyond two moments it does not see.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Generator, Tensor

from analysis.estimate import Estimate
from analysis.geometry.distances import flat


class _Gaussians(NamedTuple):
    """Means [R, F] and roots H [R, F, F] of covariances HHᵀ."""

    mean: Tensor
    root: Tensor

    @classmethod
    def fitted(cls, features: Tensor, counts: Tensor) -> _Gaussians:
        """Fits to ``features`` [M, F], row m taken counts[r, m] times."""
        num = len(features)
        mean = counts @ features / num
        second = torch.stack([(features * count[:, None]).T @ features for count in counts])
        covariance = (second - num * mean[:, :, None] * mean[:, None, :]) / (num - 1)
        variances, axes = torch.linalg.eigh(covariance)
        # A covariance has no negative eigenvalue but by rounding.
        return cls(mean, axes * variances.clamp(min=0.0).sqrt()[:, None, :])

    def squared_distance(self, other: _Gaussians) -> Tensor:
        cross = torch.linalg.svdvals(self.root.mT @ other.root).sum(-1)
        traces = self.root.square().sum((-2, -1)) + other.root.square().sum((-2, -1))
        return (self.mean - other.mean).square().sum(-1) + traces - 2 * cross


def squared_frechet(x: Tensor, y: Tensor, generator: Generator, num_resamples: int = 100) -> Estimate:
    """Squared Fréchet distance of features ``x`` [M, F] and ``y`` [K, F], rows independent; consistent, biased upward.

    The standard error is the spread over ``num_resamples`` bootstrap resamples of both sides; where their mean exceeds
    the value by more than that, a flag gives the excess, which estimates the bias. Refused unless M and K exceed F.
    """
    left, right = flat(x), flat(y)
    num, dim = min(len(left), len(right)), left.shape[1]
    if num <= dim:
        return Estimate.refused(f"the covariance of {dim} features from {num} rows is singular; draw more", num)
    centre = left.mean(0)
    samples = left - centre, right - centre
    value, resampled = (
        _Gaussians.fitted(samples[0], counts[0]).squared_distance(_Gaussians.fitted(samples[1], counts[1]))
        for counts in (
            [rows.new_ones(1, len(rows)) for rows in samples],
            [_bootstrap_counts(rows, num_resamples, generator) for rows in samples],
        )
    )
    error, bias = float(resampled.std()), float(resampled.mean() - value)
    flags = (f"biased upward by about {bias:.2g}",) if bias > error else ()
    return Estimate(float(value), error, num, len(left) + len(right), "consistent", flags)


def _bootstrap_counts(rows: Tensor, num_resamples: int, generator: Generator) -> Tensor:
    """How often each of the rows is drawn, [num_resamples, M], in resamples of their own size."""
    drawn = torch.randint(len(rows), (num_resamples, len(rows)), generator=generator, device=generator.device)
    drawn = drawn.to(rows.device)
    return rows.new_zeros(drawn.shape).scatter_add_(1, drawn, torch.ones_like(drawn, dtype=rows.dtype))
