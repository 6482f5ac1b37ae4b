r"""Attribution: what mean, variances and correlations of the codes each close of the prior's gap in quality.

With F(S) the squared Fréchet distance of draws of the normal that has the moments S of the codes and those of N(0, I)
else, a part contributes F(S) − F(S ∪ {part}), which depends on what S has already. Every order counts alike in which
variances come before correlations, as a correlation of unit variances is another matter (Shapley 1953; of orders under
precedence, Faigle & Kern 1992, doi:10.1007/BF01258278):

    mean, variances, correlations      variances, mean, correlations      variances, correlations, mean.

The three contributions sum to F(∅) − F(all), and ``beyond`` them is what G leaves, F(all) − F(q_N).
"""

from __future__ import annotations

import math

import pandas as pd

from analysis.interval import Interval
from study.answers.results import Results
from study.design.labels import labels

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
COLUMNS = [
    "of", "latent_dim", "part", "prior", "all", "aggregate", "closed", "lower", "upper",
    "share", "share_lower", "share_upper", "first", "last", "least", "most",
]  # fmt: skip


def attribution(results: Results) -> pd.DataFrame:
    """A line for each cell with all of SOURCES and each part, in the order of ORDERS[0], then ``beyond``.

    Columns: ``of``, the label of the cell; ``latent_dim``; ``part``; the levels ``prior`` = F(∅), ``all`` and
    ``aggregate`` = F(q_N); ``closed``, the contribution (squared Fréchet distance, mean over seeds) with the ends
    of its Student-t interval; ``share`` of the gap F(prior) − F(q_N), with the ends of Fieller's interval;
    ``first`` and ``last``, the mean contribution where the part is taken as early and as late as it can be;
    ``least`` and ``most``, that in the orders in which it is extreme. Differences are taken seed by seed. Cells of
    one seed have no intervals, and a share only where the gap is distinguishable from 0 by its evaluation's error, see
    :mod:`study.answers.remedies`.
    """
    names_of = labels({cell.key: cell.manifest.config for cell in results})
    names = {f"f_{source}": DISTANCE.format(source) for source in (*SOURCES.values(), AGGREGATE)}
    lines = []
    for cell in results:
        found = Results((cell,)).frame(**names)
        if found.empty:
            continue
        distance = {moments: found[f"f_{source}"] for moments, source in SOURCES.items()}
        gap = distance[frozenset()] - found[f"f_{AGGREGATE}"]
        error = math.hypot(*found[[f"f_{name}_error" for name in (SOURCES[frozenset()], AGGREGATE)]].iloc[0])
        marginal: dict[str, list[tuple[int, pd.Series]]] = {part: [] for part in ORDERS[0]}
        for order in ORDERS:
            for place, part in enumerate(order):
                gain = distance[frozenset(order[:place])] - distance[frozenset(order[: place + 1])]
                marginal[part].append((place, gain))
        marginal["beyond"] = [(len(ORDERS[0]), distance[frozenset(ORDERS[0])] - found[f"f_{AGGREGATE}"])]
        levels = (distance[frozenset()], distance[frozenset(ORDERS[0])], found[f"f_{AGGREGATE}"])
        whole = [float(each.mean()) for each in levels]
        for part, placed in marginal.items():
            by_order = [gain for _, gain in sorted(placed, key=lambda each: each[0])]
            closed = sum(by_order[1:], by_order[0]) / len(by_order)
            interval, share = Interval.student_t(closed), Interval.fieller([(closed, gap)], error=error)
            means = [float(each.mean()) for each in by_order]
            ends = (interval.value, interval.lower, interval.upper, share.value, share.lower, share.upper)
            where = names_of[cell.key], cell.settings["latent_dim"], part
            lines.append((*where, *whole, *ends, means[0], means[-1], min(means), max(means)))
    return pd.DataFrame(lines, columns=COLUMNS)
