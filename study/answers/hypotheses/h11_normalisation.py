r"""H11: batch normalisation is a confound.

A decoder with batch normalisation is two functions: in training it normalises by the statistics of its batch, which are
those of codes; in evaluation by running averages of them. Draws of the prior have other statistics than codes. With F
the squared Fréchet distance of decoded draws to held-out images, three effects, per replicate: on how many times worse
prior draws are than aggregate draws, log2 F(prior)/F(aggregate), of batch normalisation against none, and against group
normalisation, which has no modes; and log2 of F(prior draws decoded in training mode) over F(the same in evaluation).

Rule, before any run: supported if one of the effects lies wholly outside ± log2 1.25 (a quarter of F more or less: the
least that this study calls a difference of samples); refuted if all lie wholly inside; else undecided. Intervals are at
1 − 0.05/3, for any of three may decide.
"""

from __future__ import annotations

import math
from typing import final, override

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.plots import ROLES
from study.answers.hypotheses import _drawing as drawing
from study.answers.hypotheses._base import Hypothesis, MissingCells, Verdict
from study.answers.hypotheses._cells import command, excess_tables, frechet, scope, tables_of
from study.answers.hypotheses._criterion import Criterion, judged, some_effect
from study.answers.hypotheses._statistics import Tables, by_replicate, contrast, mean_of
from study.answers.results import Results

EDGE = math.log2(1.25)
FACTOR = "network.norm"
BASELINES = {"none": "no normalisation", "group": "group normalisation"}


@final
class Normalisation(Hypothesis):
    """Prior draws under no, group and batch normalisation, and under both modes of the latter."""

    id = "H11"
    claim = (
        "Batch normalisation changes how much worse prior draws decode than aggregate draws, by itself or by its mode."
    )
    needs = "Cells that differ in network.norm alone: " + command(
        "network=spatial",
        "network.norm=none,group,batch",
        "latent_dim=16x2x2",
    )

    @override
    def decide(self, results: Results) -> Verdict:
        tables = _tables(results)
        effects = {
            f"log2 excess of prior draws, batch against {words}": contrast(tables, FACTOR, "batch", name, "excess")
            for name, words in BASELINES.items()
        }
        effects["log2 F(prior), training against evaluation mode"] = by_replicate(_modes(results), mean_of("mode"))
        found = {effect: values for effect, values in effects.items() if not values.empty}
        level = 1 - 0.05 / len(effects)
        criteria = [
            Criterion.of_mean(effect, values, least=-EDGE, most=EDGE, level=level) for effect, values in found.items()
        ]
        return judged(criteria, scope(tables.values()), combine=some_effect)

    @override
    def draw(self, results: Results) -> Figure:
        """Squared Fréchet distance to held-out images (features of a classifier of the data set) of decoded draws of
        the aggregate posterior and of the prior, by the normalisation of the networks; last, prior draws decoded by a
        batch-normalised decoder in its training mode. Means over seeds with 95 % intervals (Student-t), seeds as dots;
        all families together."""
        joined = pd.concat(_tables(results).values())
        modes = pd.concat(_modes(results).values()).assign(**{FACTOR: "batch, training mode"})
        rows = pd.concat([joined, modes.rename(columns={"training": "worst"})])
        order = [name for name in ("none", "group", "batch", "batch, training mode") if name in set(rows[FACTOR])]
        made, (axes,) = drawing.panels(1, width=5.0)
        for column, label in (("best", "aggregate"), ("worst", "prior")):
            own = rows.assign(place=rows[FACTOR].map(order.index)).dropna(subset=column)
            drawing.means(axes, own, "place", column, label, colour=ROLES[label], line="")
        drawing.log_axis(axes, "y")
        axes.set_xticks(range(len(order)), [name.replace(", ", ",\n") for name in order])
        drawing.titled(axes, "", "squared Fréchet distance")
        drawing.legend(axes)
        return made


def _tables(results: Results) -> Tables:
    tables = excess_tables(results.plain(), FACTOR)
    found = {label: table for label, table in tables.items() if "batch" in set(table[FACTOR])}
    if not found:
        raise MissingCells("no cells with network.norm=batch beside cells of another normalisation with all else equal")
    return found


def _modes(results: Results) -> Tables:
    """Of cells with batch normalisation, log2 F in training over evaluation mode as ``mode``."""
    tables = tables_of(results.plain(), evaluation=frechet("prior"), training=frechet("prior_batch_statistics"))
    return {label: t.assign(mode=np.log2(t["training"] / t["evaluation"])) for label, t in tables.items()}
