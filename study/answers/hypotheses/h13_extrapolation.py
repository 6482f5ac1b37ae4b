r"""H13: the decoder degrades away from the bubbles.

Of single draws of the prior the records hold log q_N(z) − log p(z), how much denser the codes lie there than the prior,
and the distance of the decoded image to the nearest real one in the features of a classifier. The effect is their rank
correlation (Spearman), per cell and replicate.

Rule, before any run: over cells whose densities tell q_N from p, AUC of log q_N − log p above 0.75, for elsewhere there
is no "away". Supported if the correlation is below −0.3, refuted if above: 0.3² = 9 % of the variance of the ranks is
the least that would make where a draw lies matter beside what else makes an image strange.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import final, override

import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from scipy import stats

from analysis.plots import ROLES
from study.answers.hypotheses import _drawing as drawing
from study.answers.hypotheses._base import Hypothesis, Verdict
from study.answers.hypotheses._cells import RATIO_AUC, command, recorded, records, scope, tables_of, told_apart
from study.answers.hypotheses._criterion import Criterion, judged
from study.answers.hypotheses._statistics import Tables, by_replicate
from study.answers.results import Results

MOST = -0.3


@final
class Extrapolation(Hypothesis):
    """Realism of single prior draws against the log-ratio of aggregate and prior there."""

    id = "H13"
    claim = "The further a prior draw lies from the codes, by log q_N(z) − log p(z), the less real its decoded image."
    needs = "Cells with the standard prior, a mismatch to see, and samples judged: " + command(
        "latent_dim=32,128",
        "train.epochs=20,80",
    )

    @override
    def decide(self, results: Results) -> Verdict:
        draws = records(results, "decoded")
        tables = told_apart(_tables(results))
        return judged([_correlation(draws, tables)], scope(tables.values()))

    @override
    def draw(self, results: Results) -> Figure:
        """Left: single draws of the prior (first seed of the cell with the highest AUC of log q_N − log p): distance of
        the decoded image to the nearest real one in the features of a classifier, against log q_N(z) − log p(z) in
        nats; draws of the aggregate posterior for comparison. Right: Spearman's correlation of the two among prior
        draws, mean over seeds with 95 % interval (Student-t), over all cells and by cell; the claim is the shaded
        region."""
        draws = records(results, "decoded")
        tables = told_apart(_tables(results))
        chosen = max(tables.values(), key=lambda table: table["ratio_auc"].mean()).iloc[:1]
        (one,) = recorded(draws, chosen)
        made, (left, right) = drawing.panels(2, width=4.4, height=drawing.forest_height(tables))
        for source, label in (("aggregate_train", "aggregate"), ("prior", "prior")):
            own = one.sel(source=source)
            style = drawing.dots(label, ROLES[label]) | {"markersize": 2.5, "markeredgewidth": 0}
            left.plot(own["log_ratio"], own["distance"], **style)
        drawing.titled(left, "log q_N(z) − log p(z), nats", "distance to the nearest real image")
        drawing.legend(left, markerscale=2.5)
        drawing.forest(right, _correlation(draws, tables))
        return made


def _tables(results: Results) -> Tables:
    judged_cells = results.having("decoded").plain("beta", "objective", "posterior")
    return tables_of(judged_cells, ratio_auc=RATIO_AUC)


def _correlation(draws: Mapping[str, xr.Dataset], tables: Tables) -> Criterion:
    def spearman(lines: pd.DataFrame) -> float:
        (one,) = recorded(draws, lines)
        own = one.sel(source="prior")
        return float(stats.spearmanr(own["log_ratio"], own["distance"]).statistic)

    effect = "rank correlation of distance to real images and log q_N − log p"
    return Criterion.of_mean(effect, by_replicate(tables, spearman), most=MOST)
