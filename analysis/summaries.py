"""Summaries: estimates across latent dimensions and priors as tables.

A replicate's standard error is Monte Carlo error; seeds add their own spread. Over S ≥ 2 seeds the error of the mean is
that of S independent values, which holds both; with one seed it is the Monte Carlo error alone, and says so.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

from analysis.tree import ROWS, UNDEFINED

ONE_SEED = "one seed: Monte Carlo error only"


COLUMNS = ["prior", "latent_dim", "group", "row", "quantity"]
"""What identifies an estimate: ``row`` is a split, a source of samples or a fitted density, by group."""

_FIELDS = ["mean", "standard_error", "lower", "upper", "seeds", "n", "num_draws", "bound", "flags"]


def summary(trees: Mapping[str, xr.DataTree]) -> pd.DataFrame:
    """One row per tree (``prior``: its label), latent dimension and estimate: mean over seeds, standard error, 95 %
    interval (Student-t over seeds), seeds, images ``n``, draws, bound and flags. Trees are merged along ``latent_dim``.
    """
    rows = [row for label, tree in trees.items() for row in _rows(label, tree)]
    return pd.DataFrame(rows, columns=[*COLUMNS, *_FIELDS])


def _rows(label: str, tree: xr.DataTree) -> Iterator[dict[str, object]]:
    for group, dim in ROWS.items():
        if group not in tree.children:
            continue
        table = tree[group].to_dataset()
        for index in itertools.product(*(table[name].values for name in ("latent_dim", dim, "quantity"))):
            combined = _combined(table.sel(dict(zip(("latent_dim", dim, "quantity"), index, strict=True))))
            if combined:
                where = dict(zip(COLUMNS, (label, int(index[0]), group, *index[1:]), strict=True))
                yield where | combined


def _combined(cell: xr.Dataset) -> dict[str, object] | None:
    """One quantity over its seeds; None where it is not defined for this row or cell."""
    flags = [str(flag) for flag in cell["flags"].values if isinstance(flag, str) and flag]
    absent = sum(flag == f"refused: {UNDEFINED}" for flag in flags)
    if absent == cell.sizes["chain"] or not any(isinstance(bound, str) for bound in cell["bound"].values):
        return None
    values = cell["value"].values.astype(float)
    finite = values[np.isfinite(values)]
    if not len(finite):
        mean, error = math.nan, math.nan
    elif len(finite) == 1:
        mean, error = float(finite[0]), float(cell["standard_error"].values[np.isfinite(values)][0])
    else:
        mean, error = float(finite.mean()), float(finite.std(ddof=1) / math.sqrt(len(finite)))
    if len(finite) == 1 and error > 0:
        flags.append(ONE_SEED)
    half = error * float(stats.t.ppf(0.975, len(finite) - 1)) if len(finite) > 1 else 1.96 * error
    chosen = int(np.flatnonzero(np.isfinite(values))[0]) if len(finite) else 0
    return {
        "mean": mean,
        "standard_error": error,
        "lower": mean - half,
        "upper": mean + half,
        "seeds": len(finite),
        "n": int(cell["n"].values[chosen]),
        "num_draws": int(cell["num_draws"].values[chosen]),
        "bound": str(cell["bound"].values[chosen]),
        "flags": "; ".join(dict.fromkeys(flags)),
    }


OVERVIEW = {
    "log p(x) ≥": ("aggregate", "held_out", "log_px"),
    "rate R": ("aggregate", "train", "rate"),
    "I_N": ("aggregate", "train", "information"),
    "log N": ("aggregate", "train", "log_n"),
    "KL(q_N‖p)": ("aggregate", "train", "kl"),
    "KL(q∞‖p) ≥": ("aggregate", "held_out", "kl_certified_aggregate"),
    "KL(p‖q_N)": ("aggregate", "train", "kl_reverse"),
    "TV": ("aggregate", "train", "total_variation"),
    "‖z‖ AUC": ("aggregate", "train", "norm_auc"),
    "active": ("aggregate", "train", "active_units"),
    "Fréchet² prior": ("realism", "prior", "squared_frechet"),
    "Fréchet² q": ("realism", "aggregate_train", "squared_frechet"),
}
"""Columns of the printed table: group, row and quantity of each."""


def overview(trees: Mapping[str, xr.DataTree]) -> pd.DataFrame:
    """The table to look at first: ``mean ± standard error`` as text, ``*`` where flagged, ``–`` where withheld."""
    table = summary(trees)
    entries = {tuple(row[name] for name in COLUMNS): row for _, row in table.iterrows()}
    keys = dict.fromkeys((prior, dim) for prior, dim, *_ in entries)
    rows = []
    for prior, dim in keys:
        row = {"prior": prior, "D": str(dim)}
        for title, column in OVERVIEW.items():
            where = (prior, dim, *column)
            row[title] = _text(entries[where]) if where in entries else "–"
        rows.append(row)
    return pd.DataFrame(rows)


def _text(row: pd.Series) -> str:
    if not math.isfinite(row["mean"]):
        return "–"
    mark = "*" if row["flags"].replace(ONE_SEED, "") else ""
    if not row["standard_error"] > 0:
        return f"{row['mean']:.4g}{mark}"
    digits = max(0, min(4, 1 - math.floor(math.log10(row["standard_error"]))))
    return f"{row['mean']:.{digits}f} ± {row['standard_error']:.{digits}f}{mark}"
