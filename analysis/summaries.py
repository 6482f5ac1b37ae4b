"""Summaries: estimates across latent dimensions and priors as tables.

A replicate's standard error is Monte Carlo error; seeds add their own spread. Over S ≥ 2 seeds the error of the mean is
that of S independent values, which holds both; with one seed it is the Monte Carlo error alone, and says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

ONE_SEED = "one seed: Monte Carlo error only"


def summary(trees: Mapping[str, xr.DataTree]) -> pd.DataFrame:
    """One row per tree (``label``), latent dimension, split and quantity: mean over seeds, standard error, seeds,
    images ``n``, draws, bound and flags. Trees are merged along ``latent_dim``."""
    rows = [row for label, tree in trees.items() for row in _rows(label, tree["aggregate"].to_dataset())]
    return pd.DataFrame(rows, columns=["prior", "latent_dim", "split", "quantity", *_FIELDS])


_FIELDS = ["mean", "standard_error", "seeds", "n", "num_draws", "bound", "flags"]


def _rows(label: str, aggregate: xr.Dataset) -> list[dict[str, object]]:
    rows = []
    for latent_dim in aggregate["latent_dim"].values:
        for split in aggregate["split"].values:
            for quantity in aggregate["quantity"].values:
                cell = aggregate.sel(latent_dim=latent_dim, split=split, quantity=quantity)
                combined = _combined(cell)
                if combined:
                    where = {"prior": label, "latent_dim": int(latent_dim), "split": split, "quantity": quantity}
                    rows.append(where | combined)
    return rows


def _combined(cell: xr.Dataset) -> dict[str, object] | None:
    """One quantity over its seeds; None where it is not defined for this split or cell."""
    flags = [str(flag) for flag in cell["flags"].values if isinstance(flag, str) and flag]
    if all(flag == "refused: not defined for this split" for flag in flags) and len(flags) == cell.sizes["chain"]:
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
    chosen = int(np.flatnonzero(np.isfinite(values))[0]) if len(finite) else 0
    return {
        "mean": mean,
        "standard_error": error,
        "seeds": len(finite),
        "n": int(cell["n"].values[chosen]),
        "num_draws": int(cell["num_draws"].values[chosen]),
        "bound": str(cell["bound"].values[chosen]),
        "flags": "; ".join(dict.fromkeys(flags)),
    }


OVERVIEW = {
    "elbo (held out)": ("elbo", "held_out"),
    "rate R": ("rate", "train"),
    "I_N": ("information", "train"),
    "log N": ("log_n", "train"),
    "KL(q_N‖p)": ("kl", "train"),
    "KL(q∞‖p) ≥": ("kl_certified_aggregate", "held_out"),
    "KL(p‖q_N)": ("kl_reverse", "train"),
    "TV": ("total_variation", "train"),
    "‖z‖ AUC": ("norm_auc", "train"),
    "active units": ("active_units", "train"),
}
"""Columns of the printed table: quantity and split of each."""


def overview(trees: Mapping[str, xr.DataTree]) -> pd.DataFrame:
    """The table to look at first: ``mean ± standard error`` as text, ``*`` where flagged, ``–`` where withheld."""
    table = summary(trees).set_index(["prior", "latent_dim", "split", "quantity"])
    keys = dict.fromkeys((prior, dim) for prior, dim, _, _ in table.index)
    rows = []
    for prior, dim in keys:
        row = {"prior": prior, "D": str(dim)}
        for title, (quantity, split) in OVERVIEW.items():
            where = (prior, dim, split, quantity)
            row[title] = _text(table.loc[where]) if where in table.index else "–"
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
