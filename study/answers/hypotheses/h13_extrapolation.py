r"""H13: the decoder degrades away from the bubbles.

Of single draws of the prior the records hold log q_N(z) − log p(z), how much denser the codes lie there than the prior,
and the distance of the decoded image to the nearest real one in the features of a classifier. The effect is their rank
correlation (Spearman), per cell and replicate.

Rule, before any run: over cells whose densities tell q_N from p, AUC of log q_N − log p above 0.75, for elsewhere there
is no "away". Supported if the correlation is below −0.3, refuted if above: 0.3² = 9 % of the variance of the ranks is
the least that would make where a draw lies matter beside what else makes an image strange.

Beside it stands, and decides nothing, the correlation with another distance from the codes: ‖J(z)(μ − z)‖ to the
nearest code μ, J the Jacobian of the decoder, which counts a way in the latent by how far the image moves along it.

Amendment of 2026-11-26: A correlation between −0.3 and 0 makes the claim not supported, and one above 0 refutes it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, final, override

import pandas as pd
from matplotlib.figure import Figure

from analysis.plots import ROLES
from study.answers.hypotheses import _marks as marks
from study.answers.hypotheses._base import Hypothesis, Verdict
from study.answers.hypotheses._criterion import Criterion
from study.answers.hypotheses._families import RATIO_AUC, alike, distinguishable, scope
from study.answers.hypotheses._intervals import by_replicate, over_seeds
from study.answers.hypotheses._needs import Needs
from study.answers.hypotheses._records import having_records, record_lines
from study.answers.hypotheses._rule import conclude
from study.answers.results import Results

MOST = -0.3
BY_GAIN = "gain_distance"
"""The distance from the codes that is weighted with JᵀJ, which results before it lack."""


class Draws(NamedTuple):
    """Single draws with their ``log_ratio`` (nats) and the ``distance`` of their decoded image to the nearest real one.

    prior: draws of the prior, of every cell with a mismatch; with BY_GAIN where all results have it.
    example: draws of the prior and of the aggregate, by source, in the first seed of the cell with the highest AUC.
    """

    prior: pd.DataFrame
    example: dict[str, pd.DataFrame]


@final
class Extrapolation(Hypothesis[Draws]):
    """Realism of single prior draws against the log-ratio of aggregate and prior there."""

    id = "H13"
    group = "cause"
    claim = "The further a prior draw lies from the codes, by log q_N(z) − log p(z), the less real its decoded image."
    caption = (
        "Left: single draws of the prior (first seed of the cell with the highest AUC of log q_N − log p): distance of "
        "the decoded image to the nearest real one in the features of a classifier, against log q_N(z) − log p(z) in "
        "nats; draws of the aggregate posterior for comparison. Right: Spearman's correlation of the two among prior "
        "draws, mean over seeds with 95 % interval (Student-t), over all cells and by cell; the claim is the shaded "
        "region."
    )
    needs = Needs(
        "Cells with the standard prior, a mismatch to see, and samples judged",
        {"latent_dim": (32, 128), "train.updates": (220, 880)},
    )

    @override
    def evidence(self, results: Results) -> Draws:
        decoded = having_records(results, "decoded")
        cells = distinguishable(alike(decoded.plain("beta", "objective", "posterior"), ratio_auc=RATIO_AUC))
        columns = {"log_ratio": "log_ratio", "distance": "distance"}
        if all(BY_GAIN in cell.contents.variables("decoded") for cell in decoded):
            columns[BY_GAIN] = BY_GAIN
        clearest = cells.groupby("family", sort=False)["ratio_auc"].mean().idxmax()
        first = cells[cells["family"] == clearest].iloc[:1]
        sources = {"aggregate": "aggregate_train", "prior": "prior"}
        return Draws(
            record_lines(decoded, cells, "decoded", columns, source="prior"),
            {label: record_lines(decoded, first, "decoded", columns, source=name) for label, name in sources.items()},
        )

    @override
    def decide(self, evidence: Draws) -> Verdict:
        notes = []
        if BY_GAIN in evidence.prior:
            by_gain = over_seeds(by_replicate(evidence.prior, _rank_correlation(BY_GAIN)))
            notes.append(
                f"rank correlation of distance to real images and of JᵀJ-weighted distance to codes: {by_gain}"
            )
        return conclude([_correlation(evidence.prior)], scope(evidence.prior), notes=notes)

    @override
    def draw(self, evidence: Draws) -> Figure:
        figure, (left, right) = marks.panels(2, width=4.4, height=marks.forest_height(evidence.prior))
        for label, draws in evidence.example.items():
            style = marks.dots(label, ROLES[label]) | {"markersize": 2.5, "markeredgewidth": 0}
            left.plot(draws["log_ratio"], draws["distance"], **style)
        marks.axis_labels(left, "log q_N(z) − log p(z), nats", "distance to the nearest real image")
        marks.legend(left, markerscale=2.5)
        marks.forest(right, _correlation(evidence.prior))
        return figure


def _correlation(draws: pd.DataFrame) -> Criterion:
    correlations = by_replicate(draws, _rank_correlation("log_ratio"))
    effect = "rank correlation of distance to real images and log q_N − log p"
    return Criterion.of_mean(effect, correlations, most=MOST, null=0.0)


def _rank_correlation(column: str) -> Callable[[pd.DataFrame], float]:
    """The statistic: Spearman's correlation of ``column`` and the distance to real images."""
    return lambda lines: float(lines[[column, "distance"]].corr("spearman").to_numpy()[0, 1])
