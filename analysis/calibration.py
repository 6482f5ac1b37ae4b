r"""Simulation-based calibration of an amortised guide (Talts et al. 2018, arXiv:1804.06788).

For z ~ p(z), x ~ p(x|z) and L independent draws z₁, …, z_L of q(z|x) the rank of z_d is #{l : z_{l,d} < z_d}. If
q(z|x) = p(z|x) the rank is uniform on {0, …, L} in every dimension d; a guide too narrow gives a ∪ of ranks, one too
wide a ∩, a biased one a slope. Uniform ranks do not prove q = p: a guide that ignores x and returns p(z) has them too.

The decision is that of Säilynoja, Bürkner & Vehtari 2022 (arXiv:2103.10522). Of n simulations the number with rank ≤ k
is binomial(n, (k + 1)/(L + 1)); the statistic is the smallest two-sided binomial tail over k, and its p-value the
probability that the empirical distribution of n uniform ranks leaves the simultaneous band of that level. The
probability is computed exactly: the counts are the path of a Poisson process conditioned on its total n, followed from
k to k + 1 by convolution, and what leaves the band is summed as it leaves. Dimensions may depend on one another in any
way, so that the D of them are joined by Bonferroni.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr, bdtrc, gammaln, xlogy
from torch import Tensor

from analysis.estimate import Estimate

Array = NDArray[np.float64]

TIE = 1 + 1e-9


@dataclass(frozen=True)
class RankUniformity:
    """Ranks of simulations, and what they say of the guide.

    Args:
        ranks: integers in {0, …, L} of n simulations, ``(n, D)``, see :func:`posterior_ranks`.
        num_draws: L, draws of the guide among which each latent is ranked.

    Raises:
        ValueError: if the ranks have another shape or range.
    """

    ranks: Tensor
    num_draws: int

    def __post_init__(self) -> None:
        if self.ranks.ndim != 2 or not 0 <= int(self.ranks.min()) <= int(self.ranks.max()) <= self.num_draws:
            raise ValueError(
                f"expected ranks (n, D) in 0 … L = {self.num_draws}; got {tuple(self.ranks.shape)} in "
                f"{int(self.ranks.min())} … {int(self.ranks.max())}: take them from posterior_ranks"
            )

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Number of simulations with rank ≤ k, ``(D, L)``, for k = 0 … L − 1."""
        return torch.stack([(self.ranks <= k).sum(0) for k in range(self.num_draws)], 1).cpu().numpy()

    def tails(self) -> Array:
        """Smallest pointwise two-sided binomial tail of each dimension, ``(D,)``: a statistic and not yet a p-value."""
        return self._tail_table[np.arange(self.num_draws), self.counts].min(1)

    @property
    def worst_dimension(self) -> int:
        """The dimension whose ranks are the least uniform."""
        return int(self.tails().argmin())

    def deviation(self) -> Estimate:
        """Largest difference between the share of ranks ≤ k and (k + 1)/(L + 1) in the least uniform dimension.

        In [0, 1) and upper in expectation, by O(1/√n) where ranks are uniform; the standard error is that of the share
        at the k of the largest difference.
        """
        shares = torch.from_numpy(self.counts[self.worst_dimension] / len(self.ranks))
        uniform = torch.arange(1, self.num_draws + 1, dtype=torch.float64) / (self.num_draws + 1)
        place = int((shares - uniform).abs().argmax())
        below = Estimate.mean(self.ranks[:, self.worst_dimension] <= place)
        return replace(below, value=float((shares - uniform).abs()[place]), bound="upper")

    def p_value(self) -> float:
        """Probability, at most, that ranks of the exact posterior are as far from uniform in any of D dimensions."""
        tails = self.tails()
        return min(1.0, len(tails) * self._leaving_probability(float(tails.min())))

    def rejects(self, level: float = 0.05) -> bool:
        """Whether some dimension leaves the band of ``level``."""
        return self.p_value() <= level

    def band(self, level: float = 0.05) -> tuple[Array, Array]:
        """Lowest and highest share ``(L,)`` of ranks ≤ k in the band that all D dimensions keep to.

        Args:
            level: probability with which ranks of the exact posterior leave the band.
        """
        allowed = level / self.ranks.shape[1]
        # Counts are discrete: the band is cut at one of the tails that occur, or at 0 where none is rare enough.
        tails = np.append(0.0, np.unique(self._tail_table))
        inside = self._tail_table > TIE * tails[bisect_right(tails, allowed, key=self._leaving_probability) - 1]
        return inside.argmax(1) / len(self.ranks), 1 - inside[:, ::-1].argmax(1) / len(self.ranks)

    @cached_property
    def _tail_table(self) -> Array:
        """Two-sided tail ``(L, n + 1)`` of every count at every k."""
        num = len(self.ranks)
        count = np.arange(num + 1)
        share = np.arange(1, self.num_draws + 1)[:, None] / (self.num_draws + 1)
        below, above = bdtr(count, num, share), np.where(count, bdtrc(count - 1.0, num, share), 1.0)
        return np.minimum(1.0, 2 * np.minimum(below, above))

    def _leaving_probability(self, tail: float) -> float:
        """Probability that n uniform ranks have a pointwise tail ≤ ``tail`` at some k."""
        num, points = len(self.ranks), self.num_draws + 1
        count = np.arange(num + 1)
        increment = _poisson(count, num / points)
        path, leaving = (count == 0).astype(float), 0.0
        for k, outside in enumerate(self._tail_table <= TIE * tail):
            alive = np.flatnonzero(path)
            if not len(alive):
                break
            first, last = alive[[0, -1]]
            path[first:] = np.convolve(path[first : last + 1], increment)[: num + 1 - first]
            to_the_end = _poisson(num - count, num * (1 - (k + 1) / points))
            leaving += float(path[outside] @ to_the_end[outside])
            path[outside] = 0.0
        return leaving / float(_poisson(num, num))


def _poisson(count: ArrayLike, mean: float) -> Array:
    """Probabilities of counts under a Poisson distribution of this mean."""
    counts = np.asarray(count, dtype=float)
    return np.exp(xlogy(counts, mean) - gammaln(counts + 1) - mean)


def posterior_ranks(z: Tensor, draws: Iterable[Tensor]) -> Tensor:
    """Ranks ``(B, D)``, int32, of latents among draws of the guide.

    Args:
        z: latents of the model, ``(B, *latent)``, from which the images were simulated.
        draws: blocks ``(l, B, *latent)`` of independent draws of q(z|x), L in all; one block is needed at a time.

    Raises:
        ValueError: if a block does not have the shape of ``z``.
    """
    ranks = torch.zeros(z.shape, dtype=torch.int32, device=z.device)
    for block in draws:
        if block.shape[1:] != z.shape:
            raise ValueError(f"expected draws (l, {', '.join(map(str, z.shape))}); got {tuple(block.shape)}")
        ranks += (block < z).sum(0, dtype=torch.int32)
    return ranks.flatten(1)
