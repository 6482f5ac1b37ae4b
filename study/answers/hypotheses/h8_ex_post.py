r"""H8: a density fitted to the codes after training repairs the samples of the standard prior.

With F the squared Fréchet distance of decoded draws to held-out images and r a density fitted to the codes of a trained
cell, the share of the gap that r closes is

    [F(prior) − F(r)] / [F(prior) − F(aggregate of the training images)],

0 where it changes nothing and 1 where it does as well as the exact aggregate, the best that any density can do with the
decoder at hand. r also certifies nats on held-out codes, E[log r − log p] ≤ KL(q ‖ p). Of each cell the density of the
most certified nats is taken, so that it is not chosen by the outcome; the widened aggregate itself
(``aggregate_kernel``) is left out, for it decodes to the training images: it is the ceiling, and no repair.

Rule, before any run: supported if the chosen densities together close more than half of the gap (ratio of means, with
Fieller's interval), refuted if less; undecided where the gap itself is not distinguishable from 0.
"""

from __future__ import annotations

from typing import final, override

import pandas as pd
from matplotlib.figure import Figure

from analysis.plots import ROLES
from study.answers.hypotheses import _marks as marks
from study.answers.hypotheses._base import Hypothesis, Verdict
from study.answers.hypotheses._criterion import Criterion
from study.answers.hypotheses._families import best_density, dims, frechet, scope
from study.answers.hypotheses._intervals import by_replicate, mean_of, over_seeds
from study.answers.hypotheses._needs import Needs
from study.answers.hypotheses._rule import conclude
from study.answers.results import Results

HALF = 0.5


@final
class ExPost(Hypothesis[pd.DataFrame]):
    """Share of the prior's gap in quality that densities fitted after training close."""

    id = "H8"
    family = "primary"
    group = "cure"
    claim = (
        "A density fitted to the codes after training closes most of the gap in quality between prior and aggregate."
    )
    caption = (
        "Left: squared Fréchet distance to held-out images (features of a classifier of the data set) of decoded draws "
        "of the prior, of the density fitted to the codes after training that certifies the most nats, and of the "
        "aggregate posterior, against the latent dimension D; means over seeds with 95 % intervals, seeds as dots. "
        "Right: share of the gap between prior and aggregate that the density closes, over all cells and by cell, with "
        "Fieller's 95 % interval; the claim is the shaded region."
    )
    needs = Needs(
        "Cells with the standard prior, with densities fitted to their codes and samples judged",
        {"latent_dim": (8, 32, 128)},
        {"evaluate.densities": ("gaussian_mixture", "moment_normal", "flow")},
    )

    @override
    def evidence(self, results: Results) -> pd.DataFrame:
        """The best density of each cell: ``certified`` nats, and the distances ``worst``, ``fitted`` and ``best``."""
        cells = best_density(results.plain(), worst=frechet("prior"), best=frechet("aggregate_train"))
        return cells.assign(gained=cells["worst"] - cells["fitted"], gap=cells["worst"] - cells["best"])

    @override
    def decide(self, evidence: pd.DataFrame) -> Verdict:
        nats = over_seeds(by_replicate(evidence, mean_of("certified")))
        certified = f"certified by {', '.join(sorted(evidence['density'].unique()))}: {nats} nats"
        return conclude([_share(evidence)], scope(evidence), notes=[certified])

    @override
    def draw(self, evidence: pd.DataFrame) -> Figure:
        figure, (left, right) = marks.panels(2, width=4.6, height=marks.forest_height(evidence))
        for column, label in (("worst", "prior"), ("fitted", "fitted density"), ("best", "aggregate")):
            marks.means(left, evidence, "latent_dim", column, label, colour=ROLES.get(label), line="")
        marks.log_dims(left, dims(evidence))
        marks.log_axis(left, "y")
        marks.axis_labels(left, "latent dimension D", "squared Fréchet distance")
        marks.legend(left)
        marks.forest(right, _share(evidence))
        return figure


def _share(cells: pd.DataFrame) -> Criterion:
    gained, gap = (by_replicate(cells, mean_of(column)) for column in ("gained", "gap"))
    return Criterion.of_ratio("share of the gap in quality that is closed", gained, gap, least=HALF)
