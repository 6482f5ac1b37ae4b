"""Cells: finds the families that a claim rests on, and says which are missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from study.answers.hypotheses._base import MissingCells
from study.answers.hypotheses._statistics import Tables
from study.answers.results import IMMATERIAL, Results

RATIO_AUC = "aggregate/train/log_ratio_auc"
"""Area under the ROC curve of log q_N − log p: the probability that a draw of q_N has the higher value."""

TOLD_APART = 0.75
"""Least mean RATIO_AUC of cells in which there is a mismatch to speak of: half way from blindness to certainty."""

CEILING = "aggregate_kernel"
"""The widened aggregate of the training images: what any density can reach, and no repair."""

ONE_LENGTH = (
    "cells of one training length only: a verdict on D from one length may be a verdict on optimisation; "
    "add a second value of train.epochs"
)


COMMON = {
    "prior": "standard_normal",
    "objective": "elbo",
    "beta": "1",
    "binarisation": "dynamic",
    "train.epochs": "80",
    "evaluate.padding": "[]",
    "seeds": "5",
}


def command(*settings: str) -> str:
    """The command that makes the cells of ``settings``, ``key=value[,value …]``, of digits and with all else common."""
    given = dict(setting.split("=", 1) for setting in settings)
    return "`latent-study run digits " + " ".join(f"{key}={value}" for key, value in (COMMON | given).items()) + "`"


def frechet(source: str) -> str:
    """The squared Fréchet distance of a source's samples to held-out images."""
    return f"realism/{source}/squared_frechet"


class Lengths(NamedTuple):
    """Families over the latent dimension at the shortest and at the longest training of each."""

    shortest: Tables
    longest: Tables


def family_tables(results: Results, *factors: str, **estimates: str) -> dict[str, pd.DataFrame]:
    """One table per family over ``factors``, by label, of the lines that have every one of the ``estimates``.

    Raises MissingCells where no family has two levels of each factor with them.
    """
    tables = [(family, family.frame(**estimates)) for family in results.families(*factors)]
    varied = [(family, table) for family, table in tables if all(_levels(table, factor) > 1 for factor in factors)]
    if not varied:
        raise MissingCells(f"no cells that differ in {' and '.join(factors)} alone and have {_names(estimates)}")
    return _labelled(varied)


def excess_tables(results: Results, *factors: str) -> dict[str, pd.DataFrame]:
    """Families with ``excess``: log2 of how many times the squared Fréchet distance of prior draws is that of aggregate
    draws, 0 where they are equally good. A ratio, so that it compares decoders of different quality."""
    tables = family_tables(results, *factors, worst=frechet("prior"), best=frechet("aggregate_train"))
    return {label: t.assign(excess=np.log2(t["worst"] / t["best"])) for label, t in tables.items()}


def tables_of(results: Results, *free: str, **estimates: str) -> dict[str, pd.DataFrame]:
    """One table per set of cells that differ in ``free`` at most, of one cell each where nothing is free, by label.

    Raises MissingCells where no cell has all ``estimates``.
    """
    tables = [(group, group.frame(**estimates)) for group in results.partition(*free)]
    found = [(group, table) for group, table in tables if not table.empty]
    if not found:
        raise MissingCells(f"no cells that have {_names(estimates)}")
    return _labelled(found)


def best_density(results: Results, **estimates: str) -> dict[str, pd.DataFrame]:
    """One table per cell, by label, of the density fitted to its codes that certifies the most nats on average over
    seeds: its name ``density``, the nats ``certified``, the distance ``fitted`` of its samples, and the ``estimates``.

    CEILING is left out. Raises MissingCells where no cell has a density whose samples were judged.
    """
    found = []
    for cell in results.partition():
        tables = []
        for name in _densities(cell):
            table = cell.frame(certified=f"densities/{name}/certified_gap", fitted=frechet(name), **estimates)
            tables += [table.assign(density=name)] if len(table) else []
        if tables:
            found.append((cell, max(tables, key=lambda table: table["certified"].mean())))
    if not found:
        raise MissingCells(
            f"no cells with densities fitted to their codes whose samples were judged, and {_names(estimates)}"
        )
    return _labelled(found)


def told_apart(tables: Tables) -> dict[str, pd.DataFrame]:
    """The tables of cells in which the densities tell aggregate from prior, by their column ``ratio_auc``.

    Raises MissingCells where none is.
    """
    found = {label: table for label, table in tables.items() if table["ratio_auc"].mean() > TOLD_APART}
    if not found:
        raise MissingCells(f"no cells with a mismatch to see: AUC of log q_N − log p at most {TOLD_APART} everywhere")
    return found


def records(results: Results, group: str) -> dict[str, xr.Dataset]:
    """The group of single draws or images of every cell that has it, by key; raises MissingCells where none has."""
    found = {cell.key: kept for cell in results if (kept := cell.group(group)) is not None}
    if not found:
        raise MissingCells(f"no cells whose results have the records {group!r}")
    return found


def recorded(groups: Mapping[str, xr.Dataset], lines: pd.DataFrame) -> list[xr.Dataset]:
    """Of ``groups``, by key, the record of the cell and replicate of each line."""
    named = zip(lines["key"], lines["replicate"], strict=True)
    return [groups[key].isel(chain=replicate) for key, replicate in named]


def by_length(results: Results, *also: str, **estimates: str) -> Lengths:
    """Families over latent_dim and ``also``, at the shortest and the longest training, of the D that have both.

    Raises MissingCells where there is one length only, or the two share no sweep.
    """
    factors = ("latent_dim", *also)
    alone = family_tables(results, *factors, **estimates)
    try:
        both = family_tables(results, *factors, "train.epochs", **estimates)
    except MissingCells:
        raise MissingCells(f"{ONE_LENGTH} ({scope(alone.values())})") from None
    ends = {label: _ends(table) for label, table in both.items()}
    whole = {label: pair for label, pair in ends.items() if all(_levels(part, f) > 1 for part in pair for f in factors)}
    if not whole:
        raise MissingCells(f"no {' and '.join(factors)} varied at two training lengths ({scope(both.values())})")
    return Lengths(*({label: pair[end] for label, pair in whole.items()} for end in (0, 1)))


def joined_lengths(lengths: Lengths) -> dict[str, pd.DataFrame]:
    """Of each family the lines of both trainings."""
    return {label: pd.concat([lengths.shortest[label], table]) for label, table in lengths.longest.items()}


def largest_dim(tables: Tables) -> dict[str, pd.DataFrame]:
    """Of each table the lines of its largest latent dimension."""
    return {label: table[table["latent_dim"] == table["latent_dim"].max()] for label, table in tables.items()}


def scope(tables: Iterable[pd.DataFrame]) -> str:
    """What a verdict rests on: data set, latent dimensions, training lengths."""
    joined = pd.concat(list(tables), ignore_index=True)
    parts = [", ".join(sorted(joined["dataset"].unique()))]
    parts.append(f"D = {', '.join(map(str, sorted(joined['latent_dim'].unique())))}")
    parts.append(f"{', '.join(map(str, sorted(joined['train.epochs'].unique())))} epochs")
    return "; ".join(parts)


def _levels(table: pd.DataFrame, factor: str) -> int:
    return table[factor].nunique(dropna=False) if factor in table else 0


def _ends(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The lines at the shortest and at the longest training of those latent dimensions that have both."""
    short, long = (table[table["train.epochs"] == table["train.epochs"].agg(end)] for end in ("min", "max"))
    return short[short["latent_dim"].isin(long["latent_dim"])], long[long["latent_dim"].isin(short["latent_dim"])]


def _densities(results: Results) -> list[str]:
    groups = [group for cell in results if (group := cell.group("densities")) is not None]
    return sorted({str(name) for group in groups for name in group["density"].values} - {CEILING})


def _names(estimates: Mapping[str, str]) -> str:
    return ", ".join(estimates.values())


def _labelled(families: Sequence[tuple[Results, pd.DataFrame]]) -> dict[str, pd.DataFrame]:
    """Tables by the settings that each family holds fixed and that tell it from the others: ``vamp, D=32``."""
    told = [_fixed(family) for family, _ in families]
    names = dict.fromkeys(name for fixed in told for name in fixed)
    differing = [name for name in names if len({fixed[name] for fixed in told if name in fixed}) > 1]
    return {
        ", ".join(fixed[name] for name in differing if name in fixed) or fixed.get("prior", "all cells"): table
        for fixed, (_, table) in zip(told, families, strict=True)
    }


def _fixed(family: Results) -> dict[str, str]:
    """Settings that every cell of the family has alike, as text, the prior first."""
    common = set.intersection(*(set(cell.settings) for cell in family))
    material = sorted(name for name in common if name not in IMMATERIAL and not name.startswith("evaluate."))
    held = {name: levels[0] for name in material if len(levels := family.levels(name)) == 1}
    sides = {"×".join(cell.settings["latent"].split("x")[1:]) or "vector" for cell in family}
    shape = f"D={held['latent']}" if "latent" in held else "/".join(sorted(sides))
    shown = {name: f"{name}={value}" for name, value in held.items() if name not in {"prior", "latent", "latent_dim"}}
    prior = {"prior": str(held["prior"])} if "prior" in held else {}
    return prior | {"latent": shape} | shown
