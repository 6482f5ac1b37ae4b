"""Rank plot: a distribution that should be uniform, against the band of those that are (Säilynoja, Bürkner & Vehtari
2022): ranks of a simulation-based calibration, and leave-one-out predictions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from analysis.plots import MUTED, ROLES, figure


def ranks(share: npt.NDArray[Any], lower: npt.NDArray[Any], upper: npt.NDArray[Any]) -> Figure:
    """Share of simulated z that have at most this rank among draws of q(z|x), less that of uniform ranks, in the
    dimension where they are the least uniform. The exact posterior stays in the band with 95 % in all dimensions at
    once; a posterior that is too narrow leaves it as an S, one that is biased to one side.

    Args:
        share: of ranks at most k, ``(L,)``, for k = 0 … L − 1.
        lower: lower end of the band, ``(L,)``.
        upper: upper end of the band, ``(L,)``.
    """
    uniform = np.arange(1, len(share) + 1) / (len(share) + 1)
    return _against_uniform(uniform, share, lower, upper, "rank, as a share of the draws", "share of ranks − uniform")


def predictions(
    level: npt.NDArray[Any], share: npt.NDArray[Any], lower: npt.NDArray[Any], upper: npt.NDArray[Any]
) -> Figure:
    """Leave-one-out predictions of the regression: the share of replicates whose outcome lies below the predicted
    quantile of each level, less the level, where the prediction rests on all other replicates. A regression that
    predicts well stays in the band with 95 % at all levels at once; one whose predictions are too wide or too narrow
    leaves it as an S.

    Args:
        level: of the quantiles, ``(L,)``.
        share: of replicates below them, ``(L,)``.
        lower: lower end of the band, ``(L,)``.
        upper: upper end of the band, ``(L,)``.
    """
    return _against_uniform(level, share, lower, upper, "level of the predicted quantile", "share below − level")


def _against_uniform(
    uniform: npt.NDArray[Any],
    share: npt.NDArray[Any],
    lower: npt.NDArray[Any],
    upper: npt.NDArray[Any],
    xlabel: str,
    ylabel: str,
) -> Figure:
    chart = figure(4.4, 3.2)
    axes = chart.subplots()
    axes.fill_between(uniform, lower - uniform, upper - uniform, step="mid", color=MUTED, alpha=0.2, linewidth=0)
    axes.step(uniform, share - uniform, where="mid", color=ROLES["aggregate"])
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    return chart
