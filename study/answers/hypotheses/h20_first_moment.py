r"""H20: what prior samples of a feature map lack is first of all the mean of the codes.

Let m be the mean and C the covariance of the aggregate posterior of the training images, and F the squared Fréchet
distance of decoded draws to held-out images. The mean can be given to prior draws, N(0, I) → N(m, I), or to draws that
have the covariance of the codes already, N(0, C) → N(m, C). What a part of the moments contributes depends on that
order; its share of the gap is therefore the average over both (Shapley 1953):

    share of the mean = ½ {[F(N(0, I)) − F(N(m, I))] + [F(N(0, C)) − F(N(m, C))]} / [F(N(0, I)) − F(q_N)].

Two controls tell the mean from any offset of its size. The numbers of m permuted over the dimensions, which keeps
|m| and every KL: [F(N(0, I)) − F(permuted)] / [F(N(0, I)) − F(N(m, I))]. And the mean taken from the codes themselves,
q_N − m: the share [F(q_N − m) − F(q_N)] / [F(N(0, I)) − F(q_N)] of the gap that its absence brings about.

Rule, before any run: (written on 2026-11-25; a later change is an amendment with its date.) Over cells with the
standard prior whose latent is a map C × h × w, at every training length that there is: supported if the share of the
mean is above one half, the permuted mean does less than half of what the mean does, and taking the mean from the codes
brings about more than a quarter of the gap (ratios of means over seeds with Fieller's interval); refuted if one of the
three lies outside; undecided where a gap is not distinguishable from 0, or where one cell says the opposite of another.
The mean with its sign turned and offsets in random directions are reported, and decide nothing.

Amendment of 2026-11-26: Less than a quarter of the gap and more than nothing, brought about by taking the mean
from the codes, makes the claim not supported, and no part of it refutes it.
"""

from __future__ import annotations

from typing import final, override

import pandas as pd
from matplotlib.figure import Figure

from study.answers.hypotheses import _marks as marks
from study.answers.hypotheses._base import Hypothesis, MissingCells, NotMeasured, Verdict
from study.answers.hypotheses._criterion import Criterion
from study.answers.hypotheses._families import alike, by_family, frechet, scope
from study.answers.hypotheses._intervals import by_replicate, mean_of, ratio_over_seeds
from study.answers.hypotheses._needs import Map, Needs
from study.answers.hypotheses._rule import conclude
from study.answers.results import Results

HALF, QUARTER = 0.5, 0.25
SOURCES = {
    "worst": "prior",
    "mean": "mean_normal",
    "covariance": "centred_normal",
    "both": "moment_normal",
    "permuted": "mean_permuted",
    "negated": "mean_negated",
    "random": "mean_random",
    "centred": "aggregate_centred",
    "best": "aggregate_train",
}
"""Columns of distances, and the sources that they are of."""

TICKS = ("worst", "permuted", "mean", "covariance", "both", "centred", "best")
LABELS = ("N(0, I)", "m per-\nmuted", "N(m, I)", "N(0, C)", "N(m, C)", "q_N − m", "q_N")


@final
class FirstMoment(Hypothesis[pd.DataFrame]):
    """Samples with and without the mean of the codes, and offsets of its size that are not it."""

    id = "H20"
    family = "primary"
    group = "cause"
    claim = "What prior samples of a feature map lack is first of all the mean of the codes."
    caption = (
        "Squared Fréchet distance to held-out images (features of a classifier of the data set) of decoded draws, in "
        "cells whose latent is a map. Left: of the prior, of the prior moved by the mean m of the codes and by m with "
        "its numbers permuted, of normals with the covariance C of the codes, of the aggregate posterior and of the "
        "same less its mean; a line joins a cell and seed. Right: share of the prior's gap that the mean closes, "
        "averaged over both orders of mean and covariance, over all cells and by cell, with Fieller's 95 % interval; "
        "the claim is the shaded region."
    )
    needs = Needs(
        "Maps with the standard prior at two training lengths, with sources that have moments of the codes",
        {"latent_dim": (Map(64), Map(4)), "train.updates": (220, 880)},
        {"network": "spatial", "evaluate.densities": ("moment_normal",)},
    )

    @override
    def evidence(self, results: Results) -> pd.DataFrame:
        """The distances of SOURCES in each cell and their differences: ``gap``, ``first`` and ``last`` (the mean given
        to the prior, and to the covariance), their average ``gained``, what controls gain, and what is ``lost``."""
        missing = "no cells with a C×h×w latent whose mean was given to prior samples, and judged with its controls"
        try:
            cells = alike(results.plain(), **{name: frechet(source) for name, source in SOURCES.items()})
        except MissingCells:
            raise NotMeasured(missing) from None
        maps = cells[cells["latent"].astype(str).str.contains("x")]
        if maps.empty:
            raise MissingCells(missing)
        first, last = maps["worst"] - maps["mean"], maps["covariance"] - maps["both"]
        controls = {f"by_{name}": maps["worst"] - maps[name] for name in ("permuted", "negated", "random")}
        return maps.assign(
            gap=maps["worst"] - maps["best"],
            first=first,
            gained=(first + last) / 2,
            lost=maps["centred"] - maps["best"],
            **controls,
        )

    @override
    def decide(self, evidence: pd.DataFrame) -> Verdict:
        tables = {
            name: by_replicate(evidence, mean_of(name))
            for name in ("gap", "first", "gained", "lost", "by_permuted", "by_negated", "by_random")
        }
        permuted = "what the permuted mean closes over what the mean closes"
        removed = "share of the gap that taking the mean from the codes brings about"
        others = [
            f"share that {text} closes: {ratio_over_seeds(tables[name], tables['gap'])}"
            for name, text in (("by_negated", "the mean negated"), ("by_random", "a random offset of its norm"))
        ]
        return conclude(
            [
                _share(evidence),
                Criterion.of_ratio(permuted, tables["by_permuted"], tables["first"], most=HALF),
                Criterion.of_ratio(removed, tables["lost"], tables["gap"], least=QUARTER, null=0.0),
            ],
            scope(evidence),
            notes=others,
        )

    @override
    def draw(self, evidence: pd.DataFrame) -> Figure:
        figure, (left, right) = marks.panels(2, width=5.0, height=marks.forest_height(evidence))
        for label, cell in by_family(evidence):
            for _, line in cell.iterrows():
                style = marks.dots(label) | {"linestyle": "-", "linewidth": 1.0}
                left.plot(range(len(TICKS)), [line[name] for name in TICKS], **style)
        left.set_xticks(range(len(TICKS)), LABELS)
        marks.axis_labels(left, "", "squared Fréchet distance")
        marks.legend(left)
        marks.forest(right, _share(evidence))
        return figure


def _share(cells: pd.DataFrame) -> Criterion:
    gained, gap = (by_replicate(cells, mean_of(column)) for column in ("gained", "gap"))
    return Criterion.of_ratio("share of the prior's gap that the mean closes", gained, gap, least=HALF)
