"""Families: sets of cells that differ in what a claim is about and in nothing else, as one table.

A table of families has one line per cell and replicate: ``family``, the label of its set; ``key``, ``replicate``, the
estimates asked for, and every setting (:meth:`study.answers.results.Results.frame`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from study.answers.hypotheses._base import MissingCells, NotMeasured
from study.answers.hypotheses._measurements import called, not_measured
from study.answers.results import IMMATERIAL, Results
from study.design.latent import sides
from study.design.length import LENGTHS
from study.design.parts import part_name

RATIO_AUC = "aggregate/train/log_ratio_auc"
"""Area under the ROC curve of log q_N − log p: the probability that a draw of q_N has the higher value."""

DISTINGUISHABLE = 0.75
"""Least mean RATIO_AUC of cells in which there is a mismatch to speak of: half way from blindness to certainty."""

CLEAR = 4
"""Standard errors above 0 from which on an estimate may be divided by, or have a logarithm."""

CEILING = "aggregate_kernel"
"""The widened aggregate of the training images: what any density can reach, and no repair."""

ONE_LENGTH = (
    "cells of one training length only: a verdict on D from one length may be a verdict on optimisation; "
    "add a second value of train.updates"
)


def frechet(source: str) -> str:
    """The squared Fréchet distance of a source's samples to held-out images, extrapolated to infinitely many."""
    return f"realism/{source}/squared_frechet"


def frechet_plug_in(source: str) -> str:
    """The same at the n at hand, which is never negative, so that ratios at one n exist; bias draws them towards 1."""
    return f"{frechet(source)}_plug_in"


def families(results: Results, *factors: str, **estimates: str) -> pd.DataFrame:
    """Cells that differ in ``factors`` alone, and have every one of the ``estimates``.

    Raises MissingCells where no family has two levels of each factor with them.
    """
    lines = results.frame(**estimates)
    varied = [family for family in results.families(*factors) if _varied(_of(family, lines), factors)]
    if not varied:
        which = f"that differ in {' and '.join(factors)} alone"
        differing = Results(tuple(cell for family in results.families(*factors) for cell in family))
        raise not_measured(differing, estimates, which) if len(differing) else MissingCells(f"no cells {which}")
    return _labelled(varied, lines)


def alike(results: Results, *free: str, **estimates: str) -> pd.DataFrame:
    """Cells that differ in ``free`` at most, of one cell each where nothing is free, and have the ``estimates``.

    Raises MissingCells where no cell has all of them.
    """
    lines = results.frame(**estimates)
    if lines.empty:
        raise (
            not_measured(results, estimates) if len(results) else MissingCells("no cells of the kind that it is about")
        )
    measured = set(lines["key"])
    return _labelled([family for family in results.partition(*free) if measured & _keys(family)], lines)


def excess(results: Results, *factors: str) -> pd.DataFrame:
    """Families with ``excess``: log2 of how many times the squared Fréchet distance of prior draws is that of aggregate
    draws, 0 where they are equally good. A ratio, so that it compares decoders of different quality."""
    lines = families(results, *factors, worst=frechet_plug_in("prior"), best=frechet_plug_in("aggregate_train"))
    measurable = above_noise(lines, "worst", "best")
    return measurable.assign(excess=np.log2(measurable["worst"] / measurable["best"]))


def best_density(results: Results, **estimates: str) -> pd.DataFrame:
    """The density fitted to the codes of each cell, a family by itself, that certifies the most nats on average over
    seeds: its name ``density``, the nats ``certified``, the distance ``fitted`` of its samples, and the ``estimates``.

    CEILING is left out. Raises MissingCells where no cell has a density whose samples were judged.
    """
    fits = []
    for name in _densities(results):
        judged = results.frame(certified=f"densities/{name}/certified_gap", fitted=frechet(name), **estimates)
        fits.append(judged.assign(density=name))
    cells, best = [], []
    for cell in results.partition():
        if of_cell := [lines for fit in fits if len(lines := _of(cell, fit))]:
            cells.append(cell)
            best.append(max(of_cell, key=lambda lines: lines["certified"].mean()))
    if not best:
        raise NotMeasured(
            f"no cells have densities fitted to their codes whose samples were judged, and {called(estimates.values())}"
        )
    return _labelled(cells, pd.concat(best, ignore_index=True))


def above_noise(lines: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The families in which every cell has these ``columns``, means over seeds, CLEAR standard errors of one evaluation
    above 0, so that ratios and logarithms of them are not those of noise; an estimate without an error counts as exact.

    Raises MissingCells where no family has them.
    """

    def clear(family: pd.DataFrame) -> bool:
        means = family.groupby("key")[[name for column in columns for name in (column, f"{column}_error")]].mean()
        return all((means[name] > CLEAR * means[f"{name}_error"].fillna(0.0)).all() for name in columns)

    measurable = lines.groupby("family", sort=False).filter(clear)
    if measurable.empty:
        raise MissingCells(
            f"no cells in which {' and '.join(columns)} are {CLEAR} standard errors above 0, so that a ratio of them "
            "is more than noise: more draws of each source make it so"
        )
    return measurable


def with_optional(results: Results, lines: pd.DataFrame, **estimates: str) -> pd.DataFrame:
    """The lines with estimates of their cells and replicates that have them, NaN elsewhere.

    Args:
        results: the cells whose estimates are read.
        lines: one for each cell and replicate.
        estimates: addresses, by the name of the column.
    """
    places = list(zip(lines["key"], lines["replicate"], strict=True))
    for column, name in estimates.items():
        found = results.by_replicate(name)
        lines = lines.assign(**{column: [found[place][0] if place in found else math.nan for place in places]})
    return lines


def distinguishable(lines: pd.DataFrame) -> pd.DataFrame:
    """The families in which the densities tell aggregate from prior, by their column ``ratio_auc``.

    Raises MissingCells where none is.
    """
    mismatched = lines.groupby("family").filter(lambda family: family["ratio_auc"].mean() > DISTINGUISHABLE)
    if mismatched.empty:
        raise MissingCells(
            f"no cells with a mismatch to see: AUC of log q_N − log p at most {DISTINGUISHABLE} everywhere"
        )
    return mismatched


def at_two_lengths(results: Results, *also: str, **estimates: str) -> pd.DataFrame:
    """Families over latent_dim and ``also`` at the shortest and the longest training of each, as ``length`` says, of
    the D that have both.

    Raises MissingCells where there is one length only, or the two share no sweep.
    """
    factors = ("latent_dim", *also)
    of_any_length = families(results, *factors, **estimates)
    try:
        of_several = families(results, *factors, "updates", **estimates)
    except MissingCells:
        raise MissingCells(f"{ONE_LENGTH} ({scope(of_any_length)})") from None
    ends = [_ends(lines) for _, lines in by_family(of_several)]
    sweeps = [lines for lines in ends if all(_varied(end, factors) for end in (longest(lines), shortest(lines)))]
    if not sweeps:
        raise MissingCells(f"no {' and '.join(factors)} varied at two training lengths ({scope(of_several)})")
    return pd.concat(sweeps, ignore_index=True)


def longest(lines: pd.DataFrame) -> pd.DataFrame:
    """Lines of :func:`at_two_lengths` after the longest training."""
    return lines[lines["length"] == "longest"]


def shortest(lines: pd.DataFrame) -> pd.DataFrame:
    """Lines of :func:`at_two_lengths` after the shortest training."""
    return lines[lines["length"] == "shortest"]


def largest_dim(lines: pd.DataFrame) -> pd.DataFrame:
    """Lines of the largest latent dimension of each family."""
    return lines[lines["latent_dim"] == lines.groupby("family")["latent_dim"].transform("max")]


def by_family(lines: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each family with its label, in the order of the table."""
    return ((str(label), family) for label, family in lines.groupby("family", sort=False))


def dims(lines: pd.DataFrame) -> list[int]:
    """The latent dimensions of a table, in ascending order."""
    return sorted(int(dim) for dim in lines["latent_dim"].unique())


def scope(lines: pd.DataFrame) -> str:
    """Scope of a verdict: data set, latent dimensions, training lengths."""
    updates = sorted(lines["updates"].unique())
    return "; ".join(
        [
            ", ".join(sorted(lines["dataset"].unique())),
            f"D = {', '.join(map(str, dims(lines)))}",
            f"{', '.join(f'{number:,}' for number in updates)} updates",
        ]
    )


def _varied(lines: pd.DataFrame, factors: Sequence[str]) -> bool:
    """Whether each factor has two levels or more."""
    return all(factor in lines and lines[factor].nunique(dropna=False) > 1 for factor in factors)


def _ends(lines: pd.DataFrame) -> pd.DataFrame:
    """The lines at the shortest and at the longest training, as ``length`` says, of the D that have both."""
    updates = lines["updates"]
    names = {updates.min(): "shortest", updates.max(): "longest"}
    ends = lines.assign(length=updates.map(names)).dropna(subset="length")
    return ends[ends.groupby("latent_dim")["length"].transform("nunique") == 2]


def _densities(results: Results) -> list[str]:
    tables = [table for cell in results if (table := cell.tables.get("densities")) is not None]
    return sorted({label for table in tables for label in table.rows if part_name(label) != CEILING})


def _keys(family: Results) -> set[str]:
    return {cell.key for cell in family}


def _of(family: Results, lines: pd.DataFrame) -> pd.DataFrame:
    """Those of the lines that are of cells of the family."""
    return lines[lines["key"].isin(_keys(family))]


def _labelled(families: Sequence[Results], lines: pd.DataFrame) -> pd.DataFrame:
    """The lines of each family, one family after another, labelled by the settings that it holds fixed and that tell it
    from the others: ``vamp, D=32``. Families of the same label, as with and without an option, are numbered."""
    settings = [_fixed(family) for family in families]
    names = dict.fromkeys(name for fixed in settings for name in fixed)
    differing = [name for name in names if len({fixed[name] for fixed in settings if name in fixed}) > 1]
    uses: Counter[str] = Counter()
    labels: dict[str, str] = {}
    for fixed, family in zip(settings, families, strict=True):
        label = ", ".join(fixed[name] for name in differing if name in fixed) or fixed.get("prior", "all cells")
        uses[label] += 1
        labels |= dict.fromkeys(_keys(family), label if uses[label] == 1 else f"{label} ({uses[label]})")
    places = {label: place for place, label in enumerate(dict.fromkeys(labels.values()))}
    labelled = lines.assign(family=lines["key"].map(labels)).dropna(subset="family")
    return labelled.sort_values("family", key=lambda column: column.map(places), kind="stable", ignore_index=True)


def _fixed(family: Results) -> dict[str, str]:
    """Settings that every cell of the family has alike, as text, the prior first."""
    common = set.intersection(*(set(cell.settings) for cell in family))
    unsaid = {*IMMATERIAL, *(LENGTHS if "updates" in common else ())}
    material = sorted(name for name in common if name not in unsaid and not name.startswith("evaluate."))
    fixed = {name: levels[0] for name in material if len(levels := family.levels(name)) == 1}
    shapes = {sides(cell.settings["latent"]) or "vector" for cell in family}
    shape = f"D={fixed['latent']}" if "latent" in fixed else "/".join(sorted(shapes))
    others = {name: f"{name}={value}" for name, value in fixed.items() if name not in {"prior", "latent", "latent_dim"}}
    prior = {"prior": str(fixed["prior"])} if "prior" in fixed else {}
    return prior | {"latent": shape} | others
