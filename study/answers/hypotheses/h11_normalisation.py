r"""H11: batch normalisation is a confound.

A decoder with batch normalisation is two functions: in training it normalises by the statistics of its batch, which are
those of codes; in evaluation by running averages of them. Draws of the prior have other statistics than codes. With F
the squared Fréchet distance of decoded draws to held-out images, three effects, per replicate: on how many times worse
prior draws are than aggregate draws, log2 F(prior)/F(aggregate), of batch normalisation against none, and against group
normalisation, which has no modes; and log2 of F(prior draws decoded in training mode) over F(the same in evaluation).

Rule, before any run: supported if one of the effects lies wholly outside ± log2 1.25 (a quarter of F more or less: the
least that this study calls a difference of samples); refuted if all lie wholly inside; else undecided. Intervals are at
1 − 0.05/3, for any of three may decide.

Amendment of 2026-11-26: cells count in which the distances are four standard errors above 0.
"""

from __future__ import annotations

import math
from typing import NamedTuple, final, override

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.plots import ROLES
from study.answers.hypotheses import _marks as marks
from study.answers.hypotheses._base import Hypothesis, MissingCells, Verdict
from study.answers.hypotheses._criterion import Criterion
from study.answers.hypotheses._families import above_noise, alike, excess, frechet, scope
from study.answers.hypotheses._intervals import by_replicate, contrast, mean_of
from study.answers.hypotheses._needs import Map, Needs
from study.answers.hypotheses._rule import conclude, some_effect
from study.answers.results import Results

EDGE = math.log2(1.25)
FACTOR = "network.norm"
BASELINES = {"none": "no normalisation", "group": "group normalisation"}


class Norms(NamedTuple):
    """Cells of different normalisation, and of batch normalisation in both of its modes.

    families: over the normalisation, with the ``excess`` of prior draws.
    modes: of cells with batch normalisation, log2 of F in training over F in evaluation mode as ``mode``.
    """

    families: pd.DataFrame
    modes: pd.DataFrame


@final
class Normalisation(Hypothesis[Norms]):
    """Prior draws under no, group and batch normalisation, and under both modes of the latter."""

    id = "H11"
    group = "cause"
    claim = (
        "Batch normalisation changes how much worse prior draws decode than aggregate draws, by itself or by its mode."
    )
    caption = (
        "Squared Fréchet distance to held-out images (features of a classifier of the data set) of decoded draws of "
        "the aggregate posterior and of the prior, by the normalisation of the networks; last, prior draws decoded by "
        "a batch-normalised decoder in its training mode. Means over seeds with 95 % intervals (Student-t), seeds as "
        "dots; all families together."
    )
    needs = Needs(
        "Cells that differ in network.norm alone",
        {FACTOR: ("none", "group", "batch")},
        {"network": "spatial", "latent_dim": Map(16)},
    )

    @override
    def evidence(self, results: Results) -> Norms:
        norms = excess(results.plain(), FACTOR)
        with_batch = norms.groupby("family").filter(lambda family: "batch" in set(family[FACTOR]))
        if with_batch.empty:
            raise MissingCells(
                "no cells with network.norm=batch beside cells of another normalisation with all else equal"
            )
        both = alike(results.plain(), evaluation=frechet("prior"), training=frechet("prior_batch_statistics"))
        modes = above_noise(both, "evaluation", "training")
        return Norms(with_batch, modes.assign(mode=np.log2(modes["training"] / modes["evaluation"])))

    @override
    def decide(self, evidence: Norms) -> Verdict:
        effects = {
            f"log2 excess of prior draws, batch against {words}": contrast(
                evidence.families, FACTOR, "batch", name, "excess"
            )
            for name, words in BASELINES.items()
        }
        effects["log2 F(prior), training against evaluation mode"] = by_replicate(evidence.modes, mean_of("mode"))
        level = 1 - 0.05 / len(effects)
        criteria = [
            Criterion.of_mean(effect, values, least=-EDGE, most=EDGE, level=level)
            for effect, values in effects.items()
            if not values.empty
        ]
        return conclude(criteria, scope(evidence.families), combine=some_effect)

    @override
    def draw(self, evidence: Norms) -> Figure:
        modes = evidence.modes.assign(**{FACTOR: "batch, training mode"}).rename(columns={"training": "worst"})
        cells = pd.concat([evidence.families, modes])
        order = [name for name in ("none", "group", "batch", "batch, training mode") if name in set(cells[FACTOR])]
        figure, (axes,) = marks.panels(1, width=5.0)
        for column, label in (("best", "aggregate"), ("worst", "prior")):
            dots = cells.assign(place=cells[FACTOR].map(order.index)).dropna(subset=column)
            marks.means(axes, dots, "place", column, label, colour=ROLES[label], line="")
        marks.log_axis(axes, "y")
        axes.set_xticks(range(len(order)), [name.replace(", ", ",\n") for name in order])
        marks.axis_labels(axes, "", "squared Fréchet distance")
        marks.legend(axes)
        return figure
