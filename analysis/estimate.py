r"""Estimate: a number with what is known of its error.

An estimate of a quantity θ is a value θ̂, its standard error se(θ̂), the number n of independent units the
standard error rests on (images, or draws where draws are independent), the number of draws behind it, and how its
expectation relates to θ: it is ``exact`` (no Monte Carlo), ``unbiased``, ``consistent`` (bias vanishes with n), or the
``lower`` or ``upper`` end of θ. Flags name what a reader must know before using the value (``saturated``,
``refused: …``). A refused estimate is NaN with its reason; a value is never clipped to look right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor

from analysis.interval import Interval

Bound = Literal["exact", "unbiased", "consistent", "lower", "upper"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its standard error; see the module docstring for the meaning of each field."""

    value: float
    standard_error: float
    n: int
    num_draws: int
    bound: Bound = "unbiased"
    flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.bound not in get_args(Bound):
            raise ValueError(f"bound must be one of {', '.join(get_args(Bound))}; got {self.bound!r}")

    @classmethod
    def exact(cls, value: float, n: int = 1, flags: tuple[str, ...] = ()) -> Estimate:
        """A value computed without Monte Carlo error from ``n`` units."""
        return cls(float(value), 0.0, n, 0, "exact", flags)

    @classmethod
    def refused(cls, reason: str, n: int = 0) -> Estimate:
        """NaN, with the reason why a number here would be nonsense."""
        return cls(math.nan, math.nan, n, 0, "exact", (f"refused: {reason}",))

    @classmethod
    def mean(
        cls,
        integrands: Tensor,
        bound: Bound = "unbiased",
        flags: tuple[str, ...] = (),
        groups: Tensor | None = None,
    ) -> Estimate:
        """Mean of ``integrands`` (any shape, flattened) with the standard error of a mean of independent units.

        ``groups`` (same number of elements, integer labels) names draws that share a unit, as several draws of one
        image do: the standard error is then that of the ratio estimator over group sums (Cochran 1977, §2.11), so
        that n counts images and not draws.
        """
        values = integrands.detach().reshape(-1).to(torch.float64)
        num_draws = values.numel()
        if num_draws == 0:
            return cls.refused("no draws")
        centre = values.mean()
        if groups is None:
            n, deviations = num_draws, values - centre
        else:
            _, label = torch.unique(groups.reshape(-1), return_inverse=True)
            n = int(label.max()) + 1
            deviations = torch.zeros(n, dtype=torch.float64, device=values.device)
            deviations.index_add_(0, label, values - centre)
            deviations *= n / num_draws
        error = math.sqrt(float(deviations.square().sum()) / (n * (n - 1))) if n > 1 else math.nan
        return cls(float(centre), error, n, num_draws, bound, flags)

    def interval(self, level: float = 0.95) -> Interval:
        """Student-t interval of the expectation of the estimator at ``level``, with n − 1 degrees of freedom."""
        return Interval.around(self.value, self.standard_error, freedom=max(self.n - 1, 1), n=self.n, level=level)

    def flagged(self, *flags: str) -> Estimate:
        """The same estimate with further flags."""
        return replace(self, flags=self.flags + tuple(flag for flag in flags if flag not in self.flags))

    def with_shared_error(self, error: float, flag: str) -> Estimate:
        """The same estimate with a further independent ``error`` that all its draws share; unchanged where it is 0."""
        if error == 0.0 or self.is_refused:
            return self
        return replace(self, standard_error=math.hypot(self.standard_error, error)).flagged(flag)

    @property
    def is_refused(self) -> bool:
        """Whether the value was withheld."""
        return any(flag.startswith("refused") for flag in self.flags)

    def __str__(self) -> str:
        if self.is_refused:
            return next(flag for flag in self.flags if flag.startswith("refused"))
        sign = {"lower": "≥ ", "upper": "≤ "}.get(self.bound, "")
        notes = f" [{', '.join(self.flags)}]" if self.flags else ""
        return f"{sign}{self.value:.4g} ± {self.standard_error:.2g}{notes}"
