r"""H9: in a spatial latent it is the dependence between places that samples of the prior lack.

In a C × h × w latent, codes of held-out images are shuffled across images: each of the h·w places on its own, its C
numbers together (``shuffled_locations``), or each channel on its own (``shuffled_channels``). Every local marginal
stays what the decoder was trained on; only the dependence between places (between channels) is gone. With F the squared
Fréchet distance of decoded draws to held-out images, the share of the prior's gap that a shuffle brings about is

    [F(shuffled) − F(aggregate of held-out images)] / [F(prior) − F(aggregate of held-out images)].

The control is the fully connected twin: the same network with a dense layer to a vector of the same D.

Rule, before any run: supported if shuffling places brings about more than half of the gap of the maps, and the twins'
gap is below 0.8 of that of the maps at equal D (ratios of means, Fieller's interval); refuted if either fails;
undecided where one is open, or holds while the other is missing. Shuffling channels is reported, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final, override

import pandas as pd
from matplotlib.figure import Figure

from study.answers.hypotheses import _drawing as drawing
from study.answers.hypotheses._base import Hypothesis, MissingCells, Outcome, Verdict
from study.answers.hypotheses._cells import command, frechet, scope, tables_of
from study.answers.hypotheses._criterion import Criterion, judged, shown
from study.answers.hypotheses._statistics import Tables, by_replicate, mean_of, ratio_over_seeds
from study.answers.results import Results

HALF, LESS = 0.5, 0.8
ENDS = {"worst": frechet("prior"), "best": frechet("aggregate_held_out")}
SHUFFLES = {"locations": frechet("shuffled_locations"), "channels": frechet("shuffled_channels")}


@final
class SpatialCodes(Hypothesis):
    """Shuffled codes of maps, and maps against vectors of the same number of dimensions."""

    id = "H9"
    claim = "In a C×h×w latent, samples of the prior fail because the dependence between places is missing from them."
    needs = "Maps and vectors of the same D under the spatial network: " + command(
        "network=spatial",
        "latent_dim=256,64x2x2,16,4x2x2",
    )

    @override
    def decide(self, results: Results) -> Verdict:
        maps, twins = _maps(results), _twins(results)
        channels = ratio_over_seeds(by_replicate(maps, mean_of("channels")), by_replicate(maps, mean_of("gap")))
        notes = [f"share that shuffling channels brings about: {shown(channels)}"]
        if not twins:
            notes.append("no vector of the same D with all else equal: without the twin it cannot be supported")
            return judged([_share(maps)], scope(maps.values()), combine=_without_twin, notes=notes)
        vectors, gaps = (by_replicate(twins, mean_of(column)) for column in ("gap_vector", "gap_map"))
        control = Criterion.of_ratio("gap of fully connected twins over that of maps", vectors, gaps, most=LESS)
        return judged([_share(maps), control], scope(maps.values()), notes=notes)

    @override
    def draw(self, results: Results) -> Figure:
        """Squared Fréchet distance to held-out images (features of a classifier of the data set) of decoded draws.
        Left: in cells whose latent is a map, of draws of the aggregate posterior, of the same with places or channels
        shuffled across images, and of the prior; lines join a cell and seed. Right: share of the prior's gap that
        shuffling places brings about, over all cells and by cell, with Fieller's 95 % interval; the claim is the shaded
        region."""
        maps = _maps(results)
        made, (left, right) = drawing.panels(2, width=4.6, height=drawing.forest_height(maps))
        for label, table in maps.items():
            for _, line in table.iterrows():
                values = [line["best"], *(line["best"] + line[name] for name in SHUFFLES), line["worst"]]
                left.plot(range(4), values, linewidth=1.0, **drawing.dots(label) | {"linestyle": "-"})
        left.set_xticks(range(4), ["aggregate", "places\nshuffled", "channels\nshuffled", "prior"])
        drawing.titled(left, "", "squared Fréchet distance")
        drawing.legend(left)
        drawing.forest(right, _share(maps))
        return made


def _maps(results: Results) -> Tables:
    """Of each cell with a map, ``gap`` of the prior and what each shuffle brings about."""
    try:
        tables = tables_of(results.plain("beta"), **ENDS, **SHUFFLES)
    except MissingCells:
        raise MissingCells("no cells with a C×h×w latent whose shuffled codes were decoded and judged") from None
    return {
        label: table.assign(gap=table["worst"] - table["best"], **{n: table[n] - table["best"] for n in SHUFFLES})
        for label, table in tables.items()
    }


def _share(maps: Tables) -> Criterion:
    shuffled, gaps = (by_replicate(maps, mean_of(column)) for column in ("locations", "gap"))
    return Criterion.of_ratio("share of the prior's gap that shuffling places brings about", shuffled, gaps, least=HALF)


def _without_twin(outcomes: Sequence[Outcome]) -> Outcome:
    return "refuted" if outcomes == ["refuted"] else "undecided"


def _twins(results: Results) -> Tables:
    """``gap_map`` and ``gap_vector`` of maps and vectors that differ in their shape alone, where there are some."""
    found: dict[str, pd.DataFrame] = {}
    for label, family in tables_of(results.plain("beta"), "latent", **ENDS).items():
        table = family.assign(gap=family["worst"] - family["best"], map=family["latent"].str.contains("x"))
        for dim, equal in table.groupby("latent_dim"):
            maps, vectors = equal[equal["map"]], equal[~equal["map"]]
            if maps.empty or vectors.empty:
                continue
            by_seed = vectors.groupby("replicate")["gap"].mean().rename("gap_vector")
            found[f"{label}, D={dim}"] = maps.rename(columns={"gap": "gap_map"}).join(
                by_seed, on="replicate", how="inner"
            )
    return found
