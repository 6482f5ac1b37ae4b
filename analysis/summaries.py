"""Summaries: estimates across latent dimensions and priors as tables.

A replicate's standard error is Monte Carlo error; seeds add their own spread. Over S ≥ 2 seeds the error of the mean is
that of S independent values, which holds both; with one seed it is the Monte Carlo error alone, and says so. What all
seeds share is in no error over seeds: their training and held-out images, and the classifiers whose features samples
are compared in. Such an interval is for these images and these classifiers.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.address import Address
from analysis.interval import Interval
from analysis.layout import UNDEFINED
from analysis.numerals import NONE, plain, plus_minus

ONE_SEED = "one seed: Monte Carlo error only"


def over_seeds(values: npt.ArrayLike, standard_errors: npt.ArrayLike) -> Interval:
    """Student-t interval of a quantity over S seeds; of a single one, the normal interval of its own standard error.

    Args:
        values: one per seed, ``(S,)``; those that are not finite were refused and do not count.
        standard_errors: Monte Carlo errors of the values, ``(S,)``.
    """
    mean = Interval.student_t(values)
    if mean.n != 1:
        return mean
    (error,) = np.asarray(standard_errors, float)[np.isfinite(np.asarray(values, float))]
    return Interval.around(mean.value, float(error))


COLUMNS = ["prior", "latent_dim", "group", "row", "quantity"]
"""Columns that identify an estimate: ``row`` is a split, a source of samples or a fitted density, by group."""

_UNDEFINED = f"refused: {UNDEFINED}"

_FIELDS = ["mean", "standard_error", "lower", "upper", "seeds", "n", "num_draws", "bound", "flags"]


class Estimates(NamedTuple):
    """A group of estimates of one cell.

    label: of the cell.
    latent_dim: D.
    group: name of the group.
    rows, quantities: names along the axes.
    fields: value, standard_error, n, num_draws, bound and flags, ``(S, rows, quantities)`` each.
    """

    label: str
    latent_dim: int
    group: str
    rows: Sequence[str]
    quantities: Sequence[str]
    fields: Mapping[str, npt.NDArray[Any]]


FIELDS = ("value", "standard_error", "n", "num_draws", "bound", "flags")
"""Of :class:`Estimates`, by replicate."""


def summary(estimates: Iterable[Estimates]) -> pd.DataFrame:
    """One line per estimate (``prior``: the label of its cell): mean over seeds, standard error, 95 % interval
    (Student-t over seeds), seeds, images ``n``, draws, bound and flags.

    estimates: of cells, in the order of the lines.
    """
    lines = [
        dict(zip(COLUMNS, (of.label, of.latent_dim, of.group, row, quantity), strict=True)) | combined
        for of in estimates
        for i, row in enumerate(of.rows)
        for j, quantity in enumerate(of.quantities)
        if (combined := _combined(*(of.fields[name][:, i, j] for name in FIELDS)))
    ]
    return pd.DataFrame(lines, columns=[*COLUMNS, *_FIELDS])


def _combined(
    value: np.ndarray, error: np.ndarray, n: np.ndarray, draws: np.ndarray, bound: np.ndarray, flag: np.ndarray
) -> dict[str, object] | None:
    """One quantity over its seeds, ``(S,)`` each; None where it is not defined for this row."""
    flags = [str(text) for text in flag if text]
    if all(text == _UNDEFINED for text in flag):
        return None
    over = over_seeds(value, error)
    if over.n == 1 and over.standard_error > 0:
        flags.append(ONE_SEED)
    chosen = int(np.flatnonzero(np.isfinite(value.astype(float)))[0]) if over.n else 0
    return {
        "mean": over.value,
        "standard_error": over.standard_error,
        "lower": over.lower,
        "upper": over.upper,
        "seeds": over.n,
        "n": int(n[chosen]),
        "num_draws": int(draws[chosen]),
        "bound": str(bound[chosen]),
        "flags": "; ".join(dict.fromkeys(flags)),
    }


OVERVIEW = {
    "log p(x) ≥": "aggregate/held_out/log_px",
    "rate R": "aggregate/train/rate",
    "I_N": "aggregate/train/information",
    "log N": "aggregate/train/log_n",
    "KL(q_N‖p)": "aggregate/train/kl",
    "KL(q∞‖p) ≥": "aggregate/held_out/kl_certified_aggregate",
    "KL(p‖q_N)": "aggregate/train/kl_reverse",
    "TV": "aggregate/train/total_variation",
    "‖z‖ AUC": "aggregate/train/norm_auc",
    "active": "aggregate/train/active_units",
    "Fréchet² prior": "realism/prior/squared_frechet",
    "Fréchet² q": "realism/aggregate_train/squared_frechet",
}
"""Columns of the printed table: the address of each, see :mod:`analysis.address`."""


def overview(estimates: Iterable[Estimates]) -> pd.DataFrame:
    """The table to look at first: ``mean ± standard error`` as text, ``*`` where flagged, ``–`` where withheld; one
    line per cell that has any estimate.

    estimates: of cells, in the order of the lines.
    """
    shown = defaultdict[str, dict[tuple[str, str], str]](dict)
    for title, name in OVERVIEW.items():
        address = Address.parse(name)
        shown[address.group][address.row, address.quantity] = title
    texts: dict[tuple[str, int], dict[str, str]] = {}
    for of in estimates:
        found = {}
        for (row, quantity), title in shown[of.group].items():
            if row in of.rows and quantity in of.quantities:
                place = of.rows.index(row), of.quantities.index(quantity)
                if combined := _combined(*(of.fields[name][:, *place] for name in FIELDS)):
                    found[title] = as_text(combined)
        if found or (of.fields["flags"] != _UNDEFINED).any():
            texts.setdefault((of.label, of.latent_dim), {}).update(found)
    return pd.DataFrame(
        {"prior": prior, "D": str(dim)} | {title: cells.get(title, NONE) for title in OVERVIEW}
        for (prior, dim), cells in texts.items()
    )


def select(table: pd.DataFrame, patterns: Sequence[str]) -> pd.DataFrame:
    """The lines of a summary whose quantity matches a pattern.

    Args:
        table: see :func:`summary`.
        patterns: names of quantities with wildcards, such as ``kl`` or ``log_px_*``.

    Raises:
        ValueError: if a pattern matches no quantity.
    """
    quantities = sorted(table["quantity"].unique())
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in quantities):
            raise ValueError(f"expected a quantity, got {pattern!r}, which matches none of {', '.join(quantities)}")
    return table[[any(fnmatchcase(name, pattern) for pattern in patterns) for name in table["quantity"]]]


def spread(table: pd.DataFrame, by: str) -> pd.DataFrame:
    """A summary with one column per value of one of its columns, and :func:`as_text` in its cells.

    Args:
        table: see :func:`summary`.
        by: the column, one of those that identify an estimate; numbers are put in their order.

    Raises:
        ValueError: if ``by`` does not identify estimates.
    """
    identity = [name for name in ("study", *COLUMNS) if name in table]
    if by not in identity:
        raise ValueError(f"expected one of {', '.join(identity)} to spread by, got {by!r}: name one of them")
    rest = [name for name in identity if name != by]
    lines = table.assign(
        text=[as_text(dict(zip(table.columns, row, strict=True))) for row in table.itertuples(index=False)]
    )
    wide = lines.set_index([*rest, by])["text"].unstack(by)
    order = pd.MultiIndex.from_frame(table[rest].drop_duplicates())
    levels = dict.fromkeys(table[by])
    columns = sorted(levels) if pd.api.types.is_numeric_dtype(table[by]) else list(levels)
    wide = wide.reindex(index=order, columns=columns).fillna("–")
    return wide.rename(columns=str).rename_axis(columns=None).reset_index()


def latex(table: pd.DataFrame) -> str:
    """A table as LaTeX ``tabular`` with rules of ``booktabs``; ± and − are mathematics."""
    text: str = table.to_latex(index=False, escape=True, float_format=plain, na_rep=NONE)
    return text.replace("±", r"$\pm$").replace("−", "$-$")


def as_text(row: Mapping[str, Any]) -> str:
    """``mean ± standard error`` of a line of :func:`summary`; ``*`` where it is flagged."""
    if not math.isfinite(row["mean"]):
        return NONE
    mark = "*" if str(row["flags"]).replace(ONE_SEED, "") else ""
    return plus_minus(row["mean"], row["standard_error"]) + mark
