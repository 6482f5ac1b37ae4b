r"""H16: the likelihood matters.

Whether pixels are Bernoulli, continuous Bernoulli or normal, with fixed or learned variance, sets how many nats a pixel
is worth, and with it the rate that pays. The outcome is the excess log2 F(prior)/F(aggregate), F the squared Fréchet
distance of decoded draws to held-out images: how many times worse prior draws decode than aggregate draws. The effects
are its differences between each likelihood and the default one, per replicate, all else equal.

Rule, before any run: supported if some likelihood's effect lies wholly outside ± log2 1.25 (a quarter of F more or
less: the least that this study calls a difference of samples), refuted if all lie wholly inside, else undecided. With k
likelihoods to compare intervals are at 1 − 0.05/k, for any of them may decide.

Amendment of 2026-11-26: cells count in which the distances are four standard errors above 0.
"""

from __future__ import annotations

import math
from typing import final, override

import pandas as pd
from matplotlib.figure import Figure

from study.answers.hypotheses import _marks as marks
from study.answers.hypotheses._base import Hypothesis, MissingCells, Verdict
from study.answers.hypotheses._criterion import Criterion
from study.answers.hypotheses._families import dims, excess, scope
from study.answers.hypotheses._intervals import contrast
from study.answers.hypotheses._needs import Needs
from study.answers.hypotheses._rule import conclude, some_effect
from study.answers.results import Results
from study.design.cell import Cell

EDGE = math.log2(1.25)


@final
class Likelihood(Hypothesis[pd.DataFrame]):
    """Excess of prior draws over aggregate draws by likelihood."""

    id = "H16"
    group = "cause"
    claim = "The likelihood changes how much worse draws of the prior decode than draws of the aggregate."
    caption = (
        "How many times worse prior draws decode than draws of the aggregate posterior, by squared Fréchet distance to "
        "held-out images, against the latent dimension D for each likelihood; means over seeds with 95 % intervals "
        "(Student-t), seeds as dots. On the dashed line prior draws are as good."
    )
    needs = Needs(
        "Cells that differ in likelihood alone, on grey images",
        {"likelihood": ("bernoulli", "continuous_bernoulli", "gaussian", "gaussian_shared")},
        {"binarisation": "none"},
    )

    @override
    def evidence(self, results: Results) -> pd.DataFrame:
        """Families over the likelihood that have the default one, with the ``excess`` of prior draws."""
        lines = excess(results.plain(), "likelihood")
        usual = Cell().likelihood.name
        comparable = lines.groupby("family").filter(lambda family: usual in set(family["likelihood"]))
        if comparable.empty:
            raise MissingCells(f"no cells under likelihood={usual} beside another likelihood with all else equal")
        return comparable

    @override
    def decide(self, evidence: pd.DataFrame) -> Verdict:
        usual = Cell().likelihood.name
        others = sorted(set(map(str, evidence["likelihood"])) - {usual})
        criteria = [
            Criterion.of_mean(
                f"log2 excess of prior draws, {other} against {usual}",
                contrast(evidence, "likelihood", other, usual, "excess"),
                least=-EDGE,
                most=EDGE,
                level=1 - 0.05 / len(others),
            )
            for other in others
        ]
        return conclude(criteria, scope(evidence), combine=some_effect)

    @override
    def draw(self, evidence: pd.DataFrame) -> Figure:
        ratios = evidence.assign(times=2 ** evidence["excess"])
        figure, (axes,) = marks.panels(1, width=4.8)
        for name, lines in ratios.groupby("likelihood"):
            marks.means(axes, lines, "latent_dim", "times", str(name))
        axes.axhline(1.0, **marks.guide())
        marks.log_axis(axes, "y")
        marks.log_dims(axes, dims(evidence))
        marks.axis_labels(axes, "latent dimension D", "F(prior) / F(aggregate)")
        marks.legend(axes)
        return figure
