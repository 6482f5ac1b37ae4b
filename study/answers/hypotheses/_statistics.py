r"""Statistics: intervals over training seeds, which are the units of every verdict.

A statistic is computed of each replicate by itself, with the cells of a family (a slope in D, a paired difference), and
its mean over replicates has the Student-t interval

    m ± t_{S−1} s/√S,

which holds Monte Carlo error and the spread of trainings alike. Where several families answer, their values are first
averaged within each replicate: replicate r of all cells shares data order and noise, so that families are not
independent given r, and replicates are. A ratio of means has Fieller's interval (:mod:`analysis.interval`).
One seed has no interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from analysis.interval import Interval as Ratio
from study.answers.hypotheses._base import MissingCells

Tables = Mapping[str, pd.DataFrame]
"""By the label of each family: one line per cell and replicate, see :meth:`~study.answers.results.Results.frame`."""

ONE_SEED = "one seed: an interval over trainings needs two or more"


class Interval(NamedTuple):
    """A mean over ``seeds`` replicates and the ends of its interval."""

    value: float
    lower: float
    upper: float
    seeds: int


def mean_interval(values: npt.ArrayLike, level: float = 0.95) -> Interval:
    """Student-t interval of the mean of ``values``, one per replicate; raises MissingCells below two."""
    found = np.asarray(values, dtype=float)
    if len(found) < 2:
        raise MissingCells(ONE_SEED)
    half = float(stats.t.ppf(0.5 + level / 2, len(found) - 1) * found.std(ddof=1) / math.sqrt(len(found)))
    mean = float(found.mean())
    return Interval(mean, mean - half, mean + half, len(found))


def slope(x: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Least-squares slope of y in x."""
    along = np.asarray(x, dtype=float)
    centred = along - along.mean()
    return float(centred @ np.asarray(y, dtype=float) / (centred @ centred))


def mean_of(column: str) -> Callable[[pd.DataFrame], float]:
    """The statistic: mean of a column, the value itself where there is one line."""
    return lambda lines: float(lines[column].mean())


def per_doubling(quantity: str) -> Callable[[pd.DataFrame], float]:
    """The statistic: slope of a column in log2 D."""
    return lambda lines: slope(np.log2(lines["latent_dim"].astype(float)), lines[quantity])


def by_replicate(tables: Tables, statistic: Callable[[pd.DataFrame], float]) -> pd.DataFrame:
    """``statistic`` of each family's lines of one replicate: families × replicates.

    A replicate that some cell of the family lacks is left out (NaN), so that every value rests on the same cells.
    """
    rows = {}
    for label, table in tables.items():
        whole = table.groupby("replicate")["key"].nunique() == table["key"].nunique()
        complete = table[table["replicate"].map(whole)]
        rows[label] = {replicate: statistic(part) for replicate, part in complete.groupby("replicate")}
    return pd.DataFrame.from_dict(rows, orient="index")


def contrast(tables: Tables, factor: str, level: str, baseline: str, column: str) -> pd.DataFrame:
    """Mean of ``column`` where ``factor`` is at ``level`` minus its mean at ``baseline``, families × replicates.

    Families that lack either are left out.
    """
    pairs = {label: table[table[factor].isin([level, baseline])] for label, table in tables.items()}
    both = {label: table for label, table in pairs.items() if table[factor].nunique() == 2}
    mean = mean_of(column)
    return by_replicate(
        both, lambda lines: mean(lines[lines[factor] == level]) - mean(lines[lines[factor] == baseline])
    )


def pooled(*values: pd.DataFrame) -> list[npt.NDArray[np.float64]]:
    """Of tables of one shape (families × replicates) the means over families, by replicate, ``(S,)`` each.

    Only replicates that every family has count; families of fewer than two are dropped first, and MissingCells is
    raised where nothing is left.
    """
    finite = np.logical_and.reduce([np.isfinite(table.to_numpy(dtype=float)) for table in values])
    kept = finite.sum(1) >= 2
    shared = finite[kept].all(0)
    if not kept.any() or shared.sum() < 2:
        raise MissingCells(ONE_SEED)
    return [table.to_numpy(dtype=float)[kept][:, shared].mean(0) for table in values]


def over_seeds(values: pd.DataFrame, level: float = 0.95) -> Interval:
    """The interval of the mean over replicates of ``values``, families × replicates."""
    return mean_interval(pooled(values)[0], level)


def ratio_over_seeds(numerator: pd.DataFrame, denominator: pd.DataFrame) -> Interval:
    """Fieller's interval of the ratio of the means over replicates of two tables, families × replicates.

    NaN where the denominator is not distinguishably positive: there is nothing to take a share of.
    """
    above, below = pooled(numerator, denominator)
    if below.mean() <= 0:
        return Interval(math.nan, math.nan, math.nan, len(above))
    found = Ratio.fieller([(above, below)])
    return Interval(found.value, found.lower, found.upper, len(above))
