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

Amendment of 2026-11-26: A share between 0 and a half, or twins whose gap is between 0.8 of that of maps
and all of it, make the claim not supported; what lies beyond refutes it.
"""

from __future__ import annotations

from typing import NamedTuple, final, override

import pandas as pd
from matplotlib.figure import Figure

from study.answers.hypotheses import _marks as marks
from study.answers.hypotheses._base import Hypothesis, MissingCells, NotMeasured, Verdict
from study.answers.hypotheses._criterion import Criterion
from study.answers.hypotheses._families import alike, by_family, frechet, scope
from study.answers.hypotheses._intervals import by_replicate, mean_of, ratio_over_seeds
from study.answers.hypotheses._needs import Map, Needs
from study.answers.hypotheses._rule import Combination, conclude
from study.answers.results import Results

HALF, LESS = 0.5, 0.8
ENDS = {"worst": frechet("prior"), "best": frechet("aggregate_held_out")}
SHUFFLES = {"locations": frechet("shuffled_locations"), "channels": frechet("shuffled_channels")}


class Maps(NamedTuple):
    """Gaps in the squared Fréchet distance.

    cells: of each cell with a map the ``gap`` of the prior, and what each of SHUFFLES brings about.
    twins: ``gap_map`` beside ``gap_vector`` of maps and vectors that differ in shape alone; None where there are none.
    """

    cells: pd.DataFrame
    twins: pd.DataFrame | None


@final
class SpatialCodes(Hypothesis[Maps]):
    """Shuffled codes of maps, and maps against vectors of the same number of dimensions."""

    id = "H9"
    family = "primary"
    group = "cause"
    claim = "In a C×h×w latent, samples of the prior fail because the dependence between places is missing from them."
    caption = (
        "Squared Fréchet distance to held-out images (features of a classifier of the data set) of decoded draws. "
        "Left: in cells whose latent is a map, of draws of the aggregate posterior, of the same with places or "
        "channels shuffled across images, and of the prior; lines join a cell and seed. Right: share of the prior's "
        "gap that shuffling places brings about, over all cells and by cell, with Fieller's 95 % interval; the claim "
        "is the shaded region."
    )
    needs = Needs(
        "Maps and vectors of the same D under the spatial network",
        {"latent_dim": (Map(64, flat=True), Map(64), Map(4, flat=True), Map(4))},
        {"network": "spatial"},
    )

    @override
    def evidence(self, results: Results) -> Maps:
        try:
            cells = alike(results.plain("beta"), **ENDS, **SHUFFLES)
        except MissingCells:
            raise NotMeasured("no cells with a C×h×w latent whose shuffled codes were decoded and judged") from None
        shuffled = {name: cells[name] - cells["best"] for name in SHUFFLES}
        return Maps(cells.assign(gap=cells["worst"] - cells["best"], **shuffled), _twins(results))

    @override
    def decide(self, evidence: Maps) -> Verdict:
        cells, twins = evidence
        channels = ratio_over_seeds(by_replicate(cells, mean_of("channels")), by_replicate(cells, mean_of("gap")))
        notes = [f"share that shuffling channels brings about: {channels}"]
        if twins is None:
            notes.append("no vector of the same D with all else equal: without the twin it cannot be supported")
            return conclude([_share(cells)], scope(cells), combine=WITHOUT_TWIN, notes=notes)
        vectors, gaps = (by_replicate(twins, mean_of(column)) for column in ("gap_vector", "gap_map"))
        control = Criterion.of_ratio(
            "gap of fully connected twins over that of maps", vectors, gaps, most=LESS, null=1.0
        )
        return conclude([_share(cells), control], scope(cells), notes=notes)

    @override
    def draw(self, evidence: Maps) -> Figure:
        cells = evidence.cells
        figure, (left, right) = marks.panels(2, width=4.6, height=marks.forest_height(cells))
        for label, cell in by_family(cells):
            for _, line in cell.iterrows():
                values = [line["best"], *(line["best"] + line[name] for name in SHUFFLES), line["worst"]]
                left.plot(range(4), values, linewidth=1.0, **marks.dots(label) | {"linestyle": "-"})
        left.set_xticks(range(4), ["aggregate", "places\nshuffled", "channels\nshuffled", "prior"])
        marks.axis_labels(left, "", "squared Fréchet distance")
        marks.legend(left)
        marks.forest(right, _share(cells))
        return figure


def _share(cells: pd.DataFrame) -> Criterion:
    effect = "share of the prior's gap that shuffling places brings about"
    shuffled, gaps = (by_replicate(cells, mean_of(column)) for column in ("locations", "gap"))
    return Criterion.of_ratio(effect, shuffled, gaps, least=HALF, null=0.0)


WITHOUT_TWIN = Combination(lambda decisions: "undecided" if decisions[0] == "supported" else decisions[0])
"""Maps by themselves can exclude the claim, and not support it."""


def _twins(results: Results) -> pd.DataFrame | None:
    """``gap_map`` and ``gap_vector`` of maps and vectors that differ in their shape alone; None where there are none.

    A family for each D of each set of such cells.
    """
    cells = alike(results.plain("beta"), "latent", **ENDS)
    cells = cells.assign(gap=cells["worst"] - cells["best"], map=cells["latent"].str.contains("x"))
    twins = []
    for (label, dim), equal in cells.groupby(["family", "latent_dim"], sort=False):
        maps, vectors = equal[equal["map"]], equal[~equal["map"]]
        if len(maps) and len(vectors):
            by_seed = vectors.groupby("replicate")["gap"].mean().rename("gap_vector")
            pairs = maps.rename(columns={"gap": "gap_map"}).join(by_seed, on="replicate", how="inner")
            twins.append(pairs.assign(family=f"{label}, D={dim}"))
    return pd.concat(twins, ignore_index=True) if twins else None
