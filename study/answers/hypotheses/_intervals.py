r"""Intervals over training seeds, which are the units of every verdict.

A statistic is computed of each replicate by itself, with the cells of a family (a slope in D, a paired difference), and
its mean over replicates has the Student-t interval

    m ± t_{S−1} s/√S,

which holds Monte Carlo error and the spread of trainings alike. Where several families answer, their values are first
averaged within each replicate: replicate r of all cells shares data order and noise, so that families are not
independent given r, and replicates are. A ratio of means has Fieller's interval (:mod:`analysis.interval`).
One seed has no interval.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.interval import Interval
from study.answers.hypotheses._base import MissingCells

ONE_SEED = "one seed: an interval over trainings needs two or more"


def slope(x: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Least-squares slope of y in x."""
    along = np.asarray(x, dtype=float)
    centred = along - along.mean()
    return float(centred @ np.asarray(y, dtype=float) / (centred @ centred))


@dataclass(frozen=True, slots=True)
class MeanOf:
    """The statistic that :func:`mean_of` gives.

    column: whose mean it is.
    """

    column: str

    def __call__(self, lines: pd.DataFrame) -> float:
        """The mean over ``lines``."""
        return float(lines[self.column].mean())


def mean_of(column: str) -> MeanOf:
    """The statistic: mean of a column, the value itself where there is one line."""
    return MeanOf(column)


def per_doubling(quantity: str) -> Callable[[pd.DataFrame], float]:
    """The statistic: slope of a column in log2 D."""
    return lambda lines: slope(np.log2(lines["latent_dim"].astype(float)), lines[quantity])


def by_replicate(lines: pd.DataFrame, statistic: Callable[[pd.DataFrame], Any]) -> pd.DataFrame:
    """``statistic`` of each family's ``lines`` of one replicate: families × replicates.

    A replicate that some cell of the family lacks is left out (NaN), so that every value rests on the same cells.
    """
    sizes = lines.groupby("family", sort=False)["key"].nunique().to_dict()
    values: dict[str, dict[Any, Any]] = {str(label): {} for label in sizes}
    if isinstance(statistic, MeanOf) and not lines.duplicated(["family", "replicate"]).any():
        # Of ten thousand families of one cell, to take the lines of each apart would be most of the time.
        columns = (lines[name].to_numpy() for name in ("family", "replicate", statistic.column))
        for label, replicate, value in zip(*columns, strict=True):
            if sizes[label] == 1:
                values[str(label)][replicate] = float(value)
        return pd.DataFrame.from_dict(values, orient="index").sort_index(axis=1)
    parts = lines.groupby(["family", "replicate"])
    cells = parts["key"].nunique().to_dict()
    for unit, places in parts.indices.items():  # iteration over parts would copy all lines at once
        label, replicate = cast(tuple[Any, Any], unit)
        if cells[unit] == sizes[label]:
            values[str(label)][replicate] = statistic(lines.iloc[places])
    return pd.DataFrame.from_dict(values, orient="index").sort_index(axis=1)


def contrast(lines: pd.DataFrame, factor: str, level: str, baseline: str, column: str) -> pd.DataFrame:
    """Mean of ``column`` where ``factor`` is at ``level`` minus its mean at ``baseline``, families × replicates, by the
    ``lines`` of a table of families.

    Families that lack either are left out.
    """
    either = lines[lines[factor].isin([level, baseline])]
    both = either.groupby("family").filter(lambda family: family[factor].nunique() == 2)
    mean = mean_of(column)
    return by_replicate(both, lambda part: mean(part[part[factor] == level]) - mean(part[part[factor] == baseline]))


def family_means(*values: pd.DataFrame) -> list[npt.NDArray[np.float64]]:
    """Means over families, by replicate, ``(S,)`` each, of tables of one shape (families × replicates).

    Only replicates that every family has count; families of fewer than two are dropped first, and MissingCells is
    raised where nothing is left.
    """
    finite = np.logical_and.reduce([np.isfinite(table.to_numpy(dtype=float)) for table in values])
    repeated = finite.sum(1) >= 2
    shared = finite[repeated].all(0)
    if not repeated.any() or shared.sum() < 2:
        raise MissingCells(ONE_SEED)
    return [table.to_numpy(dtype=float)[repeated][:, shared].mean(0) for table in values]


def over_seeds(values: pd.DataFrame, level: float = 0.95) -> Interval:
    """The interval at ``level`` of the mean over replicates of ``values``, families × replicates."""
    return Interval.student_t(family_means(values)[0], level)


def ratio_over_seeds(numerator: pd.DataFrame, denominator: pd.DataFrame) -> Interval:
    """Fieller's interval of the ratio of the means over replicates of ``numerator`` and ``denominator``, families ×
    replicates.

    NaN where the denominator is not distinguishably positive: there is nothing to take a share of.
    """
    above, below = family_means(numerator, denominator)
    return Interval.fieller([(above, below)])
