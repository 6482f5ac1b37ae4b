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

from typing import final, override

from matplotlib.figure import Figure

from analysis.plots import ROLES
from study.answers.hypotheses import _drawing as drawing
from study.answers.hypotheses._base import Hypothesis, Verdict
from study.answers.hypotheses._cells import RATIO_AUC, command, scope, tables_of, told_apart
from study.answers.hypotheses._criterion import Criterion, judged
from study.answers.hypotheses._statistics import Tables, by_replicate, mean_of
from study.answers.results import Results

BLIND = 0.1


@final
class Shells(Hypothesis):
    """AUC of norms where the AUC of the log-ratio is high."""

    id = "H3"
    claim = "Norms of latents do not tell the aggregate posterior from the prior, even where their densities do."
    needs = "Cells with the standard prior and a mismatch to see, from high D or little training: " + command(
        "latent_dim=32,128",
        "train.epochs=20,80",
    )

    @override
    def decide(self, results: Results) -> Verdict:
        tables = told_apart(_tables(results))
        values = by_replicate(tables, lambda lines: abs(mean_of("norm_auc")(lines) - 0.5))
        square = by_replicate(tables, mean_of("mean_square"))
        ratio = by_replicate(tables, mean_of("ratio_auc"))
        return judged(
            [Criterion.of_mean("|AUC of ‖z‖ − ½|", values, most=BLIND)],
            scope(tables.values()),
            notes=[
                f"AUC of log q_N − log p: {ratio.mean().mean():.3g}",
                f"E‖z‖²/D under q_N: {square.min().min():.3g} to {square.max().max():.3g}",
            ],
        )

    @override
    def draw(self, results: Results) -> Figure:
        """How well draws of the aggregate posterior are told from draws of the prior: area under the ROC curve of the
        exact log-ratio log q_N(z) − log p(z), the best there is, and of the norm ‖z‖, against the latent dimension D;
        means over seeds with 95 % intervals (Student-t), seeds as dots. ½ is blindness; the shaded band is where norms
        count as blind."""
        tables = _tables(results, "latent_dim")
        made, (axes,) = drawing.panels(1, width=4.8)
        for table in tables.values():
            for name, label, colour in (
                ("ratio_auc", "log q_N − log p", ROLES["aggregate"]),
                ("norm_auc", "‖z‖", ROLES["prior"]),
            ):
                drawing.means(axes, table, "latent_dim", name, label, colour=colour)
        drawing.within(axes, 0.5 - BLIND, 0.5 + BLIND, vertical=False)
        drawing.log_dims(axes, drawing.dims_of(tables))
        drawing.titled(axes, "latent dimension D", "AUC, aggregate against prior")
        drawing.legend(axes)
        return made


def _tables(results: Results, *free: str) -> Tables:
    return tables_of(
        results.plain(),
        *free,
        norm_auc="aggregate/train/norm_auc",
        ratio_auc=RATIO_AUC,
        mean_square="aggregate/train/mean_square",
    )
