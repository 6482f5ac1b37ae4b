r"""Interval: a value with a confidence interval, over independent units such as training seeds.

The mean of S values has Student's interval, with m and s their mean and standard deviation,

    m ± t_{S−1} s/√S.

A ratio of means has Fieller's (1954). Over strata k, such as latent dimensions with seeds of their own, of pairs
(a, b), ρ is the ratio Σ_k mean(a_k) / Σ_k mean(b_k), and its interval holds every ρ at which the sum of the means of
a − ρ b is no further from 0 than its Student-t allows. Unlike a delta-method interval it stays honest where the
denominator is small: there it is the whole line, and the ratio is refused. The strata's variances v_k(ρ) of
mean(a_k − ρ b_k) may differ, so the degrees of freedom are Satterthwaite's (1946), taken at the estimated ratio:

    ν = (Σ_k v_k)² / Σ_k v_k²/(S_k − 1),     between the least S_k − 1 and their sum.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from analysis.numerals import plain, with_interval

ONE_VALUE = "one value: no interval"
NO_ERROR = "no standard error: no interval"
NO_VALUE = "no value"
NO_RATIO = "no ratio: its denominator is not distinguishable from 0"


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and the ends of its interval, in the unit of the value.

    value: the estimate; NaN where it is refused.
    lower: lower end; NaN where there is no interval.
    upper: upper end; NaN where there is no interval.
    n: number of independent units behind the value, such as seeds.
    standard_error: of the value; NaN where it has none, as a ratio.
    freedom: degrees of freedom of Student's t; infinite for a normal interval, NaN where there is none.
    level: probability with which such intervals hold the truth.
    reason: why there is no interval; empty where there is one.

    >>> mean = Interval.student_t([1.0, 2.0, 4.0, 7.0])
    >>> print(mean)
    3.5 [−0.71, 7.71]
    >>> 0.0 in mean
    True
    >>> Interval.student_t([3.0]).reason
    'one value: no interval'
    """

    value: float
    lower: float
    upper: float
    n: int
    standard_error: float = math.nan
    freedom: float = math.nan
    level: float = 0.95
    reason: str = ""

    @classmethod
    def around(
        cls, value: float, standard_error: float, *, freedom: float = math.inf, n: int = 1, level: float = 0.95
    ) -> Interval:
        """Student-t interval of an estimate with a standard error; normal by default.

        Args:
            value: the estimate.
            standard_error: of the value, in its unit.
            freedom: degrees of freedom that the standard error rests on.
            n: number of independent units.
            level: of confidence.
        """
        half = _quantile(freedom, level) * standard_error
        reason = NO_ERROR if math.isnan(half) else ""
        return cls(value, value - half, value + half, n, standard_error, freedom, level, reason)

    @classmethod
    def student_t(cls, values: npt.ArrayLike, level: float = 0.95) -> Interval:
        """Interval of the mean of independent ``values`` ``(S,)``.

        Values that are not finite were refused and do not count; a single one has no interval, and none has no value.
        """
        every = np.asarray(values, dtype=float)
        finite = every[np.isfinite(every)]
        if len(finite) < 2:
            value, reason = (float(finite[0]), ONE_VALUE) if len(finite) else (math.nan, NO_VALUE)
            return cls(value, math.nan, math.nan, len(finite), level=level, reason=reason)
        error = float(finite.std(ddof=1)) / math.sqrt(len(finite))
        return cls.around(float(finite.mean()), error, freedom=len(finite) - 1, n=len(finite), level=level)

    @classmethod
    def fieller(
        cls, strata: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]], level: float = 0.95, *, error: float = math.nan
    ) -> Interval:
        """Fieller's interval of Σ_k mean(a_k) / Σ_k mean(b_k), for a denominator that should be positive.

        Args:
            strata: paired values (a_k, b_k), ``(S_k,)`` each and finite; strata have two pairs or more, or there is one
                pair in all, whose ratio has no interval.
            level: of confidence.
            error: standard error of the b of one pair in all, which has no spread that would tell it from 0; in the
                unit of b, NaN where it is not known.

        >>> print(Interval.fieller([([1.9, 2.1, 2.0], [4.1, 4.0, 3.9])]))
        0.5 [0.421, 0.586]
        """
        pairs = [np.array(stratum, dtype=float) for stratum in strata]
        sizes = np.array([pair.shape[1] for pair in pairs])
        n, (above, below) = int(sizes.sum()), np.sum([pair.mean(1) for pair in pairs], axis=0)
        if below <= 0:
            return cls(math.nan, math.nan, math.nan, n, level=level, reason=NO_RATIO)
        value = float(above / below)
        if sizes.min() < 2:
            if 0.0 in cls.around(below, error, level=level):
                return cls(math.nan, math.nan, math.nan, n, level=level, reason=NO_RATIO)
            return cls(value, math.nan, math.nan, n, level=level, reason=ONE_VALUE)
        covariances = np.stack([np.cov(pair) / size for pair, size in zip(pairs, sizes, strict=True)])
        freedom = _effective_freedom(covariances, sizes - 1, np.array([1.0, -value]))
        return cls.of_ratio((float(above), float(below)), covariances.sum(0), freedom=freedom, n=n, level=level)

    @classmethod
    def of_ratio(
        cls,
        means: tuple[float, float],
        covariance: npt.NDArray[np.float64],
        *,
        freedom: float,
        n: int,
        level: float = 0.95,
    ) -> Interval:
        """Fieller's interval of a ratio of two means, for a denominator that should be positive.

        Args:
            means: numerator and denominator.
            covariance: of the two, ``(2, 2)``.
            freedom: degrees of freedom that the covariance rests on.
            n: number of independent units.
            level: of confidence.
        """
        above, below = means
        if below <= 0:
            return cls(math.nan, math.nan, math.nan, n, freedom=freedom, level=level, reason=NO_RATIO)
        square = _quantile(freedom, level) ** 2
        (var_above, shared), (_, var_below) = covariance.tolist()
        # mean(a − ρ b)² ≤ t² var(mean(a − ρ b)) is a quadratic in ρ: leading ρ² + 2 middle ρ + last ≤ 0.
        leading = below**2 - square * var_below
        middle = -(above * below - square * shared)
        last = above**2 - square * var_above
        if leading <= 0:
            return cls(math.nan, math.nan, math.nan, n, freedom=freedom, level=level, reason=NO_RATIO)
        root = math.sqrt(max(middle**2 - leading * last, 0.0))  # rounding alone makes it negative, at a width of 0
        ends = (float((-middle - root) / leading), float((-middle + root) / leading))
        return cls(above / below, *ends, n, freedom=freedom, level=level)

    def __contains__(self, value: float) -> bool:
        """Whether ``value`` lies between the ends; nothing lies in an interval that is not there."""
        return self.lower <= value <= self.upper

    def __str__(self) -> str:
        if self.reason:
            return self.reason if math.isnan(self.value) else f"{plain(self.value)} ({self.reason})"
        return with_interval(self.value, self.lower, self.upper)


def _quantile(freedom: float, level: float) -> float:
    """Two-sided quantile of Student's t distribution."""
    return float(stdtrit(freedom, 0.5 + level / 2))


def _effective_freedom(
    covariances: npt.NDArray[np.float64], freedoms: npt.NDArray[np.int_], contrast: npt.NDArray[np.float64]
) -> float:
    """Satterthwaite's degrees of freedom of the variance of a contrast ``(2,)`` of sums of means over strata.

    covariances: of each stratum's means, ``(K, 2, 2)``. freedoms: degrees of freedom of each, ``(K,)``.
    Strata without any variance leave all their degrees of freedom.
    """
    variances = np.einsum("i,kij,j->k", contrast, covariances, contrast)
    total = float(variances.sum())
    if total <= 0:
        return float(freedoms.sum())
    return total**2 / float((variances**2 / freedoms).sum())
