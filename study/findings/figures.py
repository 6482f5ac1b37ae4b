"""Figures of FINDINGS.md from ``first_look-levels.csv``: distances of sources by run, and the parts of the rate."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

DISTANCES = (
    ("prior, N(0, I)", "(c) F of N(0, I)"),
    ("prior at the radius √D", "F of prior draws moved to the radius √D"),
    ("variances alone", "F of N(0, diag v), the variances alone"),
    ("random offset", "F of N(random offset of equal norm, I)"),
    ("mean permuted", "F of N(m permuted over dimensions, I)"),
    ("mean negated", "F of N(−m, I)"),
    ("codes less their mean", "F of q_N less its mean"),
    ("covariance alone", "F of N(0, C), the covariance alone"),
    ("codes, dimensions shuffled", "F of codes with each dimension shuffled"),
    ("mean alone, N(m, I)", "F of N(m, I), the mean alone"),
    ("mean and covariance, G", "F of N(m, C) = G"),
    ("aggregate, q_N", "F of q_N"),
    ("reconstructions", "F of reconstructions"),
)
"""Sources of the figure of distances, from the top, with their quantities."""

COLOURS = {"averaged": "#0072b2", "summed": "#d55e00"}

PARTS = (
    ("information on the image", "#999999"),
    ("mean", "#0072b2"),
    ("variances", "#f0e442"),
    ("correlations", "#009e73"),
    ("beyond a Gaussian", "#d55e00"),
)
"""Parts of the rate with their colours, in the order of :func:`parts`."""


def distances(levels: pd.DataFrame) -> Figure:
    """F of each source, mean ± standard error over the trainings of a run, one mark for each run.

    Args:
        levels: ``first_look-levels.csv``.
    """
    figure = Figure(figsize=(8, 4.6), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    names = [title for title, _ in DISTANCES]
    runs = sorted(levels["run"].unique())
    for shift, (loss, colour) in zip((-0.18, 0.18), COLOURS.items(), strict=True):
        for run in runs:
            at = levels[(levels["loss"] == loss) & (levels["run"] == run)].set_index("quantity")
            rows = at.loc[[quantity for _, quantity in DISTANCES]]
            y = np.arange(len(names)) + shift + 0.09 * (run - np.mean(runs))
            label = f"loss {loss}" if run == runs[0] else None
            axes.errorbar(
                rows["mean"], y, xerr=rows["standard_error"], fmt="o", markersize=3, color=colour, label=label
            )
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlim(left=-20)
    axes.set_xlabel("squared Fréchet distance to held-out images")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="lower right")
    return figure


def parts(levels: pd.DataFrame, loss: str) -> list[float]:
    """The five parts of the rate in nats, as means over all runs: information, mean, variances, correlations, the rest.

    The rate is I_N + KL(q_N ‖ p), and KL(q_N ‖ p) = KL(q_N ‖ G) + KL(G ‖ p). The last is the sum of the parts of mean,
    variances and correlations.

    Args:
        levels: ``first_look-levels.csv``.
        loss: ``averaged`` or ``summed``.
    """
    mean = levels[levels["loss"] == loss].groupby("quantity")["mean"].mean()
    moments = [mean["KL(G ‖ p), nats: its mean"], mean["… its variances"], mean["… its correlations"]]
    kl = mean["KL(q_N ‖ p), nats"]
    return [mean["rate, nats"] - kl, *moments, kl - sum(moments)]


def rate(levels: pd.DataFrame) -> Figure:
    """The rate of the map under each loss, split into its parts.

    Args:
        levels: ``first_look-levels.csv``.
    """
    figure = Figure(figsize=(8, 2.2), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    for place, loss in enumerate(COLOURS):
        left = 0.0
        for (title, colour), nats in zip(PARTS, parts(levels, loss), strict=True):
            axes.barh(place, nats, left=left, color=colour, edgecolor="white", label=None if place else title)
            left += nats
    axes.set_yticks(range(len(COLOURS)), [f"loss {loss}" for loss in COLOURS])
    axes.invert_yaxis()
    axes.set_xlabel("nats per image")
    axes.legend(loc="lower right", ncols=2, fontsize=8)
    return figure
