r"""Paired ratio: where a mean, or a ratio of two means, lies, over independent units such as training seeds.

Of S pairs (a, b), ρ = E a / E b; a plain mean has b = 1. For any e, the contrast a − e b has mean zero where ρ = e, and
T(e) = mean(a − e b) √S / s(e) then has Student's t distribution with S − 1 degrees of freedom (Fieller 1954). So

    P(ρ > e) = F_{S−1}(T(e)),     F of Student's t,

is uniform over repetitions where ρ = e: it is the confidence distribution of ρ, and of two such probabilities are made
one- and two-sided tests, two one-sided tests of equivalence (Schuirmann 1987), and the interval.

s² holds the spread of trainings and the noise of evaluating each of them, for each has draws of its own. Two or three
units may agree more closely than that noise allows; where it is known, s²(e) is therefore taken no smaller than its
variance in the contrast. Coverage is then nominal where the spread of units dominates, and above it where noise does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit

from analysis.interval import Interval

MOST_UNITS = 1_000
"""Largest number of units that :meth:`PairedRatio.units_to_tell` names."""


@dataclass(frozen=True, eq=False)
class PairedRatio:
    """ρ = E a / E b by S ≥ 2 pairs.

    above: a, ``(S,)``.
    below: b, ``(S,)``; None for a mean, b = 1.
    evaluation: covariance ``(2, 2)`` of the evaluation's noise in one unit's (a, b); None where it is not known.

    >>> mean = PairedRatio(np.array([1.0, 2.0, 4.0, 7.0]))
    >>> print(mean.interval(), round(mean.probability_above(0.0), 3))
    3.5 [−0.71, 7.71] 0.961
    """

    above: npt.NDArray[np.float64]
    below: npt.NDArray[np.float64] | None = None
    evaluation: npt.NDArray[np.float64] | None = None

    @property
    def n(self) -> int:
        """S."""
        return len(self.above)

    @property
    def pairs(self) -> npt.NDArray[np.float64]:
        """(a, b), ``(2, S)``."""
        return np.stack([self.above, np.ones(self.n) if self.below is None else self.below])

    def interval(self, level: float = 0.95) -> Interval:
        """Every e that T(e) does not exclude at ``level``; refused where the denominator is not clearly positive."""
        spreads = [np.cov(self.pairs)] + ([] if self.evaluation is None else [self.evaluation])
        mean = self.pairs.mean(1)
        if self.below is None:
            error = math.sqrt(max(spread[0, 0] for spread in spreads) / self.n)
            return Interval.around(float(mean[0]), error, freedom=self.n - 1, n=self.n, level=level)
        each = [
            Interval.of_ratio((mean[0], mean[1]), spread / self.n, freedom=self.n - 1, n=self.n, level=level)
            for spread in spreads
        ]
        for refused in (interval for interval in each if interval.reason):
            return refused
        ends = min(interval.lower for interval in each), max(interval.upper for interval in each)
        return Interval(each[0].value, *ends, self.n, freedom=self.n - 1, level=level)

    def probability_above(self, edge: float) -> float:
        """P(ρ > edge) by the confidence distribution; NaN where there is no ratio."""
        if math.isinf(edge):
            return float(edge < 0)
        if self.interval().reason:
            return math.nan
        mean, spread = self._contrast(edge)
        if spread == 0.0:
            return 0.5 if mean == 0.0 else float(mean > 0)
        return float(stdtr(self.n - 1, mean * math.sqrt(self.n) / spread))

    def units_to_tell(self, edge: float, level: float = 0.95, power: float = 0.8) -> int | None:
        """Number of units with which the interval leaves out ``edge`` with probability ``power``, if ρ and the spread
        are as estimated; None beyond MOST_UNITS.

        By the usual approximation: the distance from the edge is the sum of the quantiles of Student's t at ``level``
        and ``power`` times the standard error.
        """
        mean, spread = self._contrast(edge)
        units = np.arange(2, MOST_UNITS + 1)
        quantiles = stdtrit(units - 1, 0.5 + level / 2) + stdtrit(units - 1, power)
        enough = units[quantiles * spread <= abs(mean) * np.sqrt(units)]
        return int(enough[0]) if len(enough) and mean != 0.0 else None

    def noise_share(self, edge: float) -> float:
        """Share of the contrast's variance at ``edge`` that is noise of the evaluation, at most 1; 0 if unknown."""
        if self.evaluation is None:
            return 0.0
        weights = np.array([1.0, -edge])
        variance = self._contrast(edge)[1] ** 2
        return float(weights @ self.evaluation @ weights / variance) if variance > 0 else 0.0

    def _contrast(self, edge: float) -> tuple[float, float]:
        """Mean and standard deviation of a − edge · b over units."""
        weights = np.array([1.0, -edge])
        contrast = weights @ self.pairs
        variance = float(contrast.var(ddof=1))
        if self.evaluation is not None:
            variance = max(variance, float(weights @ self.evaluation @ weights))
        return float(contrast.mean()), math.sqrt(variance)
