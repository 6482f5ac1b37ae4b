"""Dimension plot: how many nats single dimensions of a latent cost, in the order of their rank and by their place."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from analysis.plots import PALETTE, figure, legend

PARTS = {"mean": PALETTE[1], "variance": PALETTE[2]}
"""Colours of the parts of a dimension's nats."""

LEAST = 1e-6
"""Nats below which a dimension lies on the lower edge."""


def by_rank(mean: npt.NDArray[Any], variance: npt.NDArray[Any]) -> Figure:
    """Nats that the mean of the codes and their variance cost in each dimension, the costliest dimension first. A line
    that falls at once: few dimensions hold the mismatch, and the rest match the prior.

    Args:
        mean: ½ (m_d − m₀)²/s₀² ``(D,)``.
        variance: ½ (v_d/s₀² − 1 − ln v_d/s₀²) ``(D,)``.
    """
    chart = figure(4.8, 3.3)
    axes = chart.subplots()
    order = np.argsort(-(mean + variance))
    rank = np.arange(1, len(order) + 1)
    for name, values in (("mean", mean), ("variance", variance)):
        axes.plot(
            rank,
            np.maximum(values[order], LEAST),
            linestyle="",
            marker="o",
            markersize=4 if len(rank) <= 200 else 2,
            markeredgewidth=0,
            color=PARTS[name],
            label=name,
            rasterized=len(rank) > 1_000,
        )
    axes.set_yscale("log")
    if len(rank) > 50:
        axes.set_xscale("log")
    axes.set_xlabel("dimensions by rank")
    axes.set_ylabel("nats")
    legend(chart, PARTS)
    return chart


def by_place(nats: npt.NDArray[Any]) -> Figure:
    """Nats in mean and variance of a latent map by place, summed over channels.

    Args:
        nats: ``(H, W)``.
    """
    chart = figure(4.2, 3.4)
    axes = chart.subplots()
    shown = axes.imshow(nats, cmap="viridis", interpolation="nearest")
    axes.grid(visible=False)
    axes.set_xlabel("column of the map")
    axes.set_ylabel("row of the map")
    bar = chart.colorbar(shown, ax=axes)
    bar.set_label("nats")
    return chart
