r"""Attribution: what mean, variances and correlations of the codes each close of the prior's gap in quality.

With F(S) the squared Fréchet distance of draws of the normal that has the moments S of the codes and those of N(0, I)
else, a part contributes F(S) − F(S ∪ {part}), which depends on what S has already. Every order counts alike in which
variances come before correlations, as a correlation of unit variances is another matter (Shapley 1953; of orders under
precedence, Faigle & Kern 1992, doi:10.1007/BF01258278):

    mean, variances, correlations      variances, mean, correlations      variances, correlations, mean.

The three contributions sum to F(∅) − F(all), and ``beyond`` them is what G leaves, F(all) − F(q_N).
"""

from __future__ import annotations

import pandas as pd

from analysis.interval import Interval
from study.answers.results import Results

DISTANCE = "realism/{}/squared_frechet"
SOURCES = {
    frozenset[str](): "prior",
    frozenset({"mean"}): "mean_normal",
    frozenset({"variances"}): "variance_normal",
    frozenset({"mean", "variances"}): "mean_variance_normal",
    frozenset({"variances", "correlations"}): "centred_normal",
    frozenset({"mean", "variances", "correlations"}): "moment_normal",
}
"""Sources of samples by the moments of the codes that they have; the last is a density of ``evaluate.densities``."""

ORDERS = (
    ("mean", "variances", "correlations"),
    ("variances", "mean", "correlations"),
    ("variances", "correlations", "mean"),
)
AGGREGATE = "aggregate_train"
COLUMNS = ["key", "latent", "part", "closed", "lower", "upper", "share", "share_lower", "share_upper", "least", "most"]


def attribution(results: Results) -> pd.DataFrame:
    """A line for each cell with all of SOURCES and each part, in the order of ORDERS[0], then ``beyond``.

    Columns: ``key`` and ``latent`` of the cell; ``part``; ``closed``, its contribution (squared Fréchet distance, mean
    over seeds) with the ends of its Student-t interval; ``share`` of the gap F(prior) − F(q_N), with the ends of
    Fieller's interval; ``least`` and ``most``, the mean contribution in the orders in which it is extreme. Differences
    are taken seed by seed. Cells of one seed have no intervals.
    """
    names = {f"f_{source}": DISTANCE.format(source) for source in (*SOURCES.values(), AGGREGATE)}
    lines = []
    for cell in results:
        found = Results((cell,)).frame(**names)
        if found.empty:
            continue
        distance = {moments: found[f"f_{source}"] for moments, source in SOURCES.items()}
        gap = distance[frozenset()] - found[f"f_{AGGREGATE}"]
        marginal: dict[str, list[pd.Series]] = {part: [] for part in ORDERS[0]}
        for order in ORDERS:
            for place, part in enumerate(order):
                marginal[part].append(distance[frozenset(order[:place])] - distance[frozenset(order[: place + 1])])
        marginal["beyond"] = [distance[frozenset(ORDERS[0])] - found[f"f_{AGGREGATE}"]]
        for part, by_order in marginal.items():
            closed = sum(by_order[1:], by_order[0]) / len(by_order)
            interval, share = Interval.student_t(closed), Interval.fieller([(closed, gap)])
            means = [float(each.mean()) for each in by_order]
            ends = (interval.value, interval.lower, interval.upper, share.value, share.lower, share.upper)
            lines.append((cell.key, cell.settings["latent"], part, *ends, min(means), max(means)))
    return pd.DataFrame(lines, columns=COLUMNS)
