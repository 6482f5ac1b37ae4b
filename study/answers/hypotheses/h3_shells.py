r"""H3: the shells coincide.

Draws of N(0, I) have ‖z‖² = D ± √(2D), and at a trained optimum E μ_d² + E σ_d² ≈ 1, so that the aggregate has the same
shell: norms then see nothing of a mismatch that the densities show. The area under the ROC curve (AUC) of a statistic
is the probability that a draw of q_N has the higher value than one of p: ½ is blindness, and log q_N − log p has the
most.

Rule, before any run: over cells trained by the ELBO whose densities do tell q_N from p, AUC of log q_N − log p above
0.75 (half way from blindness to certainty), the effect is |AUC of ‖z‖ − ½|. Supported if it is below 0.1, a fifth of
what a perfect test has; refuted if above.
"""

from __future__ import annotations

from typing import NamedTuple, final, override

import pandas as pd
from matplotlib.figure import Figure

from analysis.plots import ROLES
from study.answers.hypotheses import _marks as marks
from study.answers.hypotheses._base import Hypothesis, Verdict
from study.answers.hypotheses._criterion import Criterion
from study.answers.hypotheses._families import RATIO_AUC, alike, by_family, dims, distinguishable, scope
from study.answers.hypotheses._intervals import by_replicate, mean_of
from study.answers.hypotheses._needs import Needs
from study.answers.hypotheses._rule import conclude
from study.answers.results import Results

BLIND = 0.1
COLUMNS = {
    "norm_auc": "aggregate/train/norm_auc",
    "ratio_auc": RATIO_AUC,
    "mean_square": "aggregate/train/mean_square",
}


class Aucs(NamedTuple):
    """How well norms and densities tell the aggregate from the prior.

    cells: COLUMNS of every cell by itself.
    sweeps: the same of cells in sweeps over the latent dimension.
    """

    cells: pd.DataFrame
    sweeps: pd.DataFrame


@final
class Shells(Hypothesis[Aucs]):
    """AUC of norms where the AUC of the log-ratio is high."""

    id = "H3"
    group = "picture"
    claim = "Norms of latents do not tell the aggregate posterior from the prior, even where their densities do."
    caption = (
        "How well draws of the aggregate posterior are told from draws of the prior: area under the ROC curve of the "
        "exact log-ratio log q_N(z) − log p(z), the best there is, and of the norm ‖z‖, against the latent dimension "
        "D; means over seeds with 95 % intervals (Student-t), seeds as dots. ½ is blindness; the shaded band is where "
        "norms count as blind."
    )
    needs = Needs(
        "Cells with the standard prior and a mismatch to see, from high D or little training",
        {"latent_dim": (32, 128), "train.updates": (220, 880)},
    )

    @override
    def evidence(self, results: Results) -> Aucs:
        return Aucs(alike(results.plain(), **COLUMNS), alike(results.plain(), "latent_dim", **COLUMNS))

    @override
    def decide(self, evidence: Aucs) -> Verdict:
        cells = distinguishable(evidence.cells)
        values = by_replicate(cells, lambda lines: abs(mean_of("norm_auc")(lines) - 0.5))
        square = by_replicate(cells, mean_of("mean_square"))
        ratio = by_replicate(cells, mean_of("ratio_auc"))
        return conclude(
            [Criterion.of_mean("|AUC of ‖z‖ − ½|", values, most=BLIND)],
            scope(cells),
            notes=[
                f"AUC of log q_N − log p: {ratio.mean().mean():.3g}",
                f"E‖z‖²/D under q_N: {square.min().min():.3g} to {square.max().max():.3g}",
            ],
        )

    @override
    def draw(self, evidence: Aucs) -> Figure:
        figure, (axes,) = marks.panels(1, width=4.8)
        for _, sweep in by_family(evidence.sweeps):
            marks.means(axes, sweep, "latent_dim", "ratio_auc", "log q_N − log p", colour=ROLES["aggregate"])
            marks.means(axes, sweep, "latent_dim", "norm_auc", "‖z‖", colour=ROLES["prior"])
        marks.region(axes, 0.5 - BLIND, 0.5 + BLIND, vertical=False)
        marks.log_dims(axes, dims(evidence.sweeps))
        marks.axis_labels(axes, "latent dimension D", "AUC, aggregate against prior")
        marks.legend(axes)
        return figure
