r"""Squared Fréchet distance between Gaussians fitted to two samples of features (Dowson & Landau 1982).

    F = ‖m₁ − m₂‖² + tr C₁ + tr C₂ − 2 tr (C₁^{½} C₂ C₁^{½})^{½}

The last trace is the sum of the singular values s of H₁ᵀH₂ = V s Wᵀ for any roots C = HHᵀ, which spares a root of
rounding errors. The features are the caller's: only on Inception-v3's is F the "FID" of Heusel et al. (2017,
arXiv:1706.08500), and numbers on other features compare with each other alone. What lies beyond two moments F does
not see.

Bias. Sample moments differ where laws agree, so F of samples is too large by a/n to first order. Over G random groups
of rows, with F₋ the mean of F without each, the straight line through F against 1/n (Chong & Forsyth 2020,
arXiv:1911.07023) at the two sizes n and n(1 − 1/G) meets 1/n = 0 at

    G F − (G − 1) F₋,

the jackknife of Quenouille (1956), whose bias is O(1/n²). It may be negative where the laws agree.

Error. By the delta method: moving mass to a point x of the first sample moves F at the rate

    ψ(x) = 2(m₁ − m₂)·(x − m₁) + (x − m₁)ᵀ(I − T)(x − m₁) − tr (I − T)C₁,

T = C₁^{-½}(C₁^{½} C₂ C₁^{½})^{½}C₁^{-½} the optimal transport of the one Gaussian to the other, and likewise for the
second sample. So Var F = Var ψ₁/n₁ + Var ψ₂/n₂, and the line through 1/n = 0 has the same ψ. The ψ of samples is
itself noisy, and where the laws agree it is nothing but noise. Cov(ψ_A, ψ_B) of the ψ that two halves A and B of the
rows give has none, so the excess of Var ψ over it is that noise, which is twice the variance of order 1/n² that a
statistic of pairs has (Hoeffding 1948), times G/(G − 1) as rows of one group are never paired. Of both terms

    Var = Cov(ψ_A, ψ_B)₊/n + ½ (Var ψ − Cov(ψ_A, ψ_B)₊)/n · G/(G − 1),  summed over the samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from analysis.estimate import Estimate
from analysis.geometry.distances import flat

GROUPS = 8
"""Groups of rows that are left out in turn."""

ROWS_PER_BLOCK = 2**13
"""Rows at a time, few enough for the cache: memory for hundreds of thousands would be asked for anew each time."""


class FeatureMoments:
    """A sample's mean and covariance, with those of all its rows but a group: fitted once for all that it meets.

    Args:
        features: independent rows, ``(n, F)``, in random order.
    """

    def __init__(self, features: Tensor) -> None:
        rows = flat(features)
        self.num, self.dim = rows.shape
        self.mean = rows.mean(0)
        self.centred = rows - self.mean
        self.covariance = self.centred.T @ self.centred / (self.num - 1)

    @cached_property
    def principal(self) -> tuple[Tensor, Tensor]:
        """Standard deviations ``(F,)`` along the principal axes, and these, the columns of ``(F, F)``."""
        return _principal(self.covariance)

    @cached_property
    def root(self) -> Tensor:
        """A root H ``(F, F)`` of the covariance HHᵀ."""
        deviations, axes = self.principal
        return axes * deviations

    @cached_property
    def halves(self) -> tuple[FeatureMoments, FeatureMoments]:
        """Every other row, and the others."""
        rows = self.centred + self.mean
        return FeatureMoments(rows[::2]), FeatureMoments(rows[1::2])

    @cached_property
    def without_groups(self) -> tuple[Tensor, Tensor]:
        """Means ``(G, F)`` and covariances ``(G, F, F)`` of all rows but those of each group."""
        groups = [self.centred[group::GROUPS] for group in range(GROUPS)]
        num = self.centred.new_tensor([self.num - len(rows) for rows in groups])[:, None, None]
        # The centred rows sum to zero.
        means = torch.stack([-rows.sum(0) for rows in groups]) / num[:, :, 0]
        second = self.covariance * (self.num - 1) - torch.stack([rows.T @ rows for rows in groups])
        return self.mean + means, (second - num * means[:, :, None] * means[:, None]) / (num - 1)

    @cached_property
    def roots_without_groups(self) -> Tensor:
        """Roots ``(G, F, F)`` of the covariances without each group."""
        deviations, axes = _principal(self.without_groups[1])
        return axes * deviations[:, None, :]


@dataclass(frozen=True, slots=True)
class FrechetDistance:
    """Squared Fréchet distance.

    extrapolated: to infinitely many rows, without the bias of order 1/n.
    plug_in: of the samples as they are, which compares at equal n alone.
    """

    extrapolated: Estimate
    plug_in: Estimate


def squared_frechet(x: FeatureMoments, y: FeatureMoments) -> FrechetDistance:
    """Squared Fréchet distance of the laws of two independent samples.

    Refused where half of either has no more rows than there are features.

    Args:
        x: the first sample, and
        y: the second: what one of them is asked for by several distances is computed once.

    >>> first, second = torch.randn(2, 4000, 3, generator=torch.Generator().manual_seed(0))
    >>> moved = FeatureMoments(second + torch.tensor([2.0, 0.0, 0.0]))
    >>> distance = squared_frechet(FeatureMoments(first), moved).extrapolated
    >>> abs(distance.value - 4) < 4 * distance.standard_error
    True
    """
    num, draws = min(x.num, y.num), x.num + y.num
    if num // 2 <= x.dim:
        reason = f"covariances of {x.dim} features need {2 * (x.dim + 1)} rows, and there are {num}; draw more"
        refused = Estimate.refused(reason, num)
        return FrechetDistance(refused, refused)
    whole = _Transport.between(x, y)
    halves = [_Transport.between(*pair) for pair in zip(x.halves, y.halves, strict=True)]
    variance = 0.0
    for sample, side in ((x, 0), (y, 1)):
        blocks = (block + sample.mean for block in sample.centred.split(ROWS_PER_BLOCK))
        rates = [torch.stack([plan.influence(rows, side) for plan in (whole, *halves)]) for rows in blocks]
        covariances = torch.cat(rates, dim=1).cov()
        signal = max(float(covariances[1, 2]), 0.0)
        noise = max(float(covariances[0, 0]) - signal, 0.0)
        variance += (signal + noise / 2 * GROUPS / (GROUPS - 1)) / sample.num
    error = math.sqrt(variance)
    extrapolated = GROUPS * whole.cost - (GROUPS - 1) * float(_without_groups(x, y).mean())
    return FrechetDistance(
        Estimate(extrapolated, error, num, draws), Estimate(whole.cost, error, num, draws, bound="consistent")
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Transport:
    """Optimal transport between the Gaussians of two ``samples``: its cost F, and H₁ᵀH₂ = V s Wᵀ.

    ``vectors`` are V and W, one for each sample.
    """

    samples: tuple[FeatureMoments, FeatureMoments]
    singular: Tensor
    vectors: tuple[Tensor, Tensor]
    cost: float

    @classmethod
    def between(cls, x: FeatureMoments, y: FeatureMoments) -> _Transport:
        left, singular, right = torch.linalg.svd(x.root.T @ y.root)
        traces = x.covariance.trace() + y.covariance.trace()
        cost = (x.mean - y.mean).square().sum() + traces - 2 * singular.sum()
        return cls((x, y), singular, (left, right.T), float(cost))

    def influence(self, rows: Tensor, side: int) -> Tensor:
        """ψ up to a constant ``(n,)`` at ``rows`` ``(n, F)`` of the law of sample ``side``.

        With scores w = H⁻¹(x − m), (x − m)ᵀT(x − m) is Σ s (wᵀV)²; directions without variance hold no row.
        """
        sample, other = self.samples[side], self.samples[1 - side]
        deviations, axes = sample.principal
        scales = torch.where(deviations > 1e-12 * deviations.max(), deviations, torch.inf)
        centred = rows - sample.mean
        transported = (centred @ (axes / scales @ self.vectors[side])).square() @ self.singular
        return 2 * centred @ (sample.mean - other.mean) + centred.square().sum(1) - transported


def _without_groups(x: FeatureMoments, y: FeatureMoments) -> Tensor:
    """Distances ``(G,)`` without each group of both samples.

    Singular values are roots of eigenvalues here, which is faster: of directions without variance it takes rounding,
    of the order of 10⁻⁸ of the largest, for a value.
    """
    (x_means, x_covariances), (y_means, y_covariances) = x.without_groups, y.without_groups
    roots = y.roots_without_groups
    eigenvalues = torch.linalg.eigvalsh(roots.mT @ x_covariances @ roots)
    # A covariance has no negative eigenvalue but by rounding.
    cross = eigenvalues.clamp(min=0.0).sqrt().sum(-1)
    traces = torch.einsum("gff->g", x_covariances + y_covariances)
    return (x_means - y_means).square().sum(-1) + traces - 2 * cross


def _principal(covariances: Tensor) -> tuple[Tensor, Tensor]:
    variances, axes = torch.linalg.eigh(covariances)
    # A covariance has no negative eigenvalue but by rounding.
    return variances.clamp(min=0.0).sqrt(), axes
