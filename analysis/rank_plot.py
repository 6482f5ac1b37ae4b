"""Rank plot: ranks of a simulation-based calibration against the uniform ones (Säilynoja, Bürkner & Vehtari 2022)."""

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
    chart = figure(4.4, 3.2)
    axes = chart.subplots()
    uniform = np.arange(1, len(share) + 1) / (len(share) + 1)
    axes.fill_between(uniform, lower - uniform, upper - uniform, step="mid", color=MUTED, alpha=0.2, linewidth=0)
    axes.step(uniform, share - uniform, where="mid", color=ROLES["aggregate"])
    axes.set_xlabel("rank, as a share of the draws")
    axes.set_ylabel("share of ranks − uniform")
    return chart
