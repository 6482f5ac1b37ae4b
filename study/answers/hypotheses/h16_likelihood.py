r"""H16: the likelihood matters.

Whether pixels are Bernoulli, continuous Bernoulli or normal, with fixed or learned variance, sets how many nats a pixel
is worth, and with it the rate that pays. The outcome is the excess log2 F(prior)/F(aggregate), F the squared Fréchet
distance of decoded draws to held-out images: how many times worse prior draws decode than aggregate draws. The effects
are its differences between each likelihood and the default one, per replicate, all else equal.

Rule, before any run: supported if some likelihood's effect lies wholly outside ± log2 1.25 (a quarter of F more or
less: the least that this study calls a difference of samples), refuted if all lie wholly inside, else undecided. With k
likelihoods to compare intervals are at 1 − 0.05/k, for any of them may decide.
"""

from __future__ import annotations

import math
from typing import final, override

import pandas as pd
from matplotlib.figure import Figure

from study.answers.hypotheses import _drawing as drawing
from study.answers.hypotheses._base import Hypothesis, MissingCells, Verdict
from study.answers.hypotheses._cells import command, excess_tables, scope
from study.answers.hypotheses._criterion import Criterion, judged, some_effect
from study.answers.hypotheses._statistics import Tables, contrast
from study.answers.results import Results
from study.design.cell import Cell

EDGE = math.log2(1.25)


@final
class Likelihood(Hypothesis):
    """Excess of prior draws over aggregate draws by likelihood."""

    id = "H16"
    claim = "The likelihood changes how much worse draws of the prior decode than draws of the aggregate."
    needs = "Cells that differ in likelihood alone, on grey images: " + command(
        "likelihood=bernoulli,continuous_bernoulli,gaussian,gaussian_shared",
        "binarisation=none",
        "latent_dim=32",
    )

    @override
    def decide(self, results: Results) -> Verdict:
        tables = _tables(results)
        usual = Cell().likelihood.name
        others = sorted({str(name) for table in tables.values() for name in table["likelihood"]} - {usual})
        criteria = [
            Criterion.of_mean(
                f"log2 excess of prior draws, {other} against {usual}",
                contrast(tables, "likelihood", other, usual, "excess"),
                least=-EDGE,
                most=EDGE,
                level=1 - 0.05 / len(others),
            )
            for other in others
        ]
        return judged(criteria, scope(tables.values()), combine=some_effect)

    @override
    def draw(self, results: Results) -> Figure:
        """How many times worse prior draws decode than draws of the aggregate posterior, by squared Fréchet distance to
        held-out images, against the latent dimension D for each likelihood; means over seeds with 95 % intervals
        (Student-t), seeds as dots. On the dashed line prior draws are as good."""
        tables = _tables(results)
        joined = pd.concat(tables.values())
        ratios = joined.assign(times=2 ** joined["excess"])
        made, (axes,) = drawing.panels(1, width=4.8)
        for name, lines in ratios.groupby("likelihood"):
            drawing.means(axes, lines, "latent_dim", "times", str(name))
        axes.axhline(1.0, **drawing.guide())
        drawing.log_axis(axes, "y")
        drawing.log_dims(axes, drawing.dims_of(tables))
        drawing.titled(axes, "latent dimension D", "F(prior) / F(aggregate)")
        drawing.legend(axes)
        return made


def _tables(results: Results) -> Tables:
    tables = excess_tables(results.plain(), "likelihood")
    usual = Cell().likelihood.name
    found = {label: table for label, table in tables.items() if usual in set(table["likelihood"])}
    if not found:
        raise MissingCells(f"no cells under likelihood={usual} beside another likelihood with all else equal")
    return found
