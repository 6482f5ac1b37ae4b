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
    """A value with its standard error.

    value: of the quantity, in its unit; NaN where refused.
    standard_error: of the value, in the same unit.
    n: independent units that the standard error rests on.
    num_draws: Monte Carlo draws behind the value; 0 where there are none.
    bound: how the expectation of the value stands to the quantity.
    flags: what a reader must know before using the value.

    Raises:
        ValueError: if ``bound`` is none of the five.

    >>> mean = Estimate.mean(torch.tensor([1.0, 2.0, 3.0, 6.0]))
    >>> print(mean)
    3 ± 1.1
    >>> print(mean.interval())
    3 [−0.437, 6.44]
    >>> print(Estimate.mean(torch.tensor([1.0, 2.0, 3.0, 6.0]), "lower", groups=torch.tensor([0, 0, 1, 1])))
    ≥ 3 ± 1.5
    >>> print(Estimate.refused("no draws"))
    refused: no draws
    """

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
        """A value computed without Monte Carlo error.

        Args:
            value: of the quantity, in its unit.
            n: units that it was computed from.
            flags: what a reader must know.
        """
        return cls(float(value), 0.0, n, 0, "exact", flags)

    @classmethod
    def refused(cls, reason: str, n: int = 0) -> Estimate:
        """NaN, with the reason why a number here would be nonsense.

        Args:
            reason: one clause.
            n: units at hand.
        """
        return cls(math.nan, math.nan, n, 0, "exact", (f"refused: {reason}",))

    @classmethod
    def mean(
        cls,
        integrands: Tensor,
        bound: Bound = "unbiased",
        flags: tuple[str, ...] = (),
        groups: Tensor | None = None,
    ) -> Estimate:
        """Mean with the standard error of a mean of independent units; refused where there is none, or an integrand is
        no number.

        Args:
            integrands: values of any shape, flattened.
            bound: how their expectation stands to the quantity.
            flags: what a reader must know.
            groups: integer labels, as many as integrands, of draws that share a unit, as several draws of one image do:
                the standard error is then that of the ratio estimator over group sums (Cochran 1977, §2.11), so that n
                counts images and not draws.
        """
        values = integrands.detach().reshape(-1).to(torch.float64)
        num_draws = values.numel()
        if num_draws == 0:
            return cls.refused("no draws")
        centre = values.mean()
        if bool(centre.isnan()):
            return cls.refused(f"{int(values.isnan().sum())} of {num_draws} draws have no number", num_draws)
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
        """The same estimate with a further independent error that all its draws share; unchanged where it is 0.

        Args:
            error: standard error of what the draws share, in the unit of the value.
            flag: that says so.
        """
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
