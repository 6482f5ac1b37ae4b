"""Alignment plot: the decoder's alignment with the axes against the correlations of the codes, along training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from analysis.interval import Interval
from analysis.plots import figure, legend, lines, whiskers


def alignment(series: Mapping[str, Sequence[tuple[int, Interval, Interval]]]) -> Figure:
    """How far JᵀJ of the decoder is from a diagonal matrix, as a share of what it would be after a random rotation of
    the latent (0 where the decoder is aligned with the axes, 1 where it is not at all), against the correlation part of
    KL(G ‖ p), with 95 % intervals over seeds; along a line the number of updates grows. If correlations of the codes
    are a price of misalignment, lines run from the upper right to the lower left.

    Args:
        series: by label, points of cells that differ in the length of training alone: updates, share, nats.
    """
    chart = figure()
    axes = chart.subplots()
    for label, style in lines(series).items():
        updates, shares, nats = zip(*series[label], strict=True)
        x, y = ([interval.value for interval in intervals] for intervals in (shares, nats))
        axes.errorbar(
            x, y, whiskers(nats), whiskers(shares), label=label, linewidth=1.6, elinewidth=1.1, markersize=5, **style
        )
        for place in (0, -1):
            axes.annotate(f"{updates[place]:,}", (x[place], y[place]), (5, 4), textcoords="offset points", fontsize=8)
    axes.set_xlabel("JᵀJ off the axes, as a share of that of a random rotation")
    axes.set_ylabel("correlation part of KL(G ‖ p), nats")
    legend(chart, series)
    return chart
