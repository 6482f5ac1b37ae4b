"""Marks: what the figures of hypotheses share. Colours and styles are those of :mod:`analysis.plots`."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import Any, Literal

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from analysis import plots
from analysis.interval import Interval
from study.answers.hypotheses._criterion import Criterion
from study.answers.hypotheses._families import by_family, dims, longest, shortest

DASHED = (0, (4, 3))
MOST_ENTRIES = 10
"""Largest number of entries of a legend."""

REGION = plots.PALETTE[2]
"""Colour of the region in which a claim says its number lies."""


def panels(columns: int, rows: int = 1, *, width: float = 4.2, height: float = 3.2) -> tuple[Figure, list[Axes]]:
    """A figure of ``rows`` × ``columns`` axes, row by row, each of that ``width`` and ``height`` in inches."""
    figure = plots.figure(width * columns, height * rows)
    axes = figure.subplots(rows, columns, squeeze=False)
    return figure, list(axes.flat)


def axis_labels(axes: Axes, xlabel: str, ylabel: str) -> None:
    """Labels the two sides of ``axes`` by ``xlabel`` and ``ylabel``, which hold their units."""
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)


def log_axis(axes: Axes, which: Literal["x", "y"]) -> None:
    """A logarithmic axis, after the data: plain numbers at 1, 2 and 5 of each decade, or at powers of ten of many.

    Args:
        axes: with their data.
        which: of the two it is.

    A range within a factor of three stays linear, for it would have no such number.
    """
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = axis.get_data_interval()
    if 0 < high < 3 * low:
        return
    axes.set(**{f"{which}scale": "log"})
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 1e3 * low else (1.0,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def log_dims(axes: Axes, dims: Sequence[int]) -> None:
    """A logarithmic axis of latent dimensions under ``axes`` with a tick at each of ``dims``, or at every second where
    they crowd."""
    marks = sorted(set(dims))
    axes.set_xscale("log", base=2)
    ticks = marks[:: math.ceil(len(marks) / 8)]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())


def legend(axes: Axes, **options: Any) -> None:
    """The legend, each label once, where there are any and not more than fit."""
    handles, labels = axes.get_legend_handles_labels()
    entries = dict(zip(labels, handles, strict=True))
    if 0 < len(entries) <= MOST_ENTRIES:
        with matplotlib.rc_context(plots.STYLE):
            axes.legend(entries.values(), entries.keys(), handlelength=1.6, labelspacing=0.3, **options)


def shade(level: float, levels: Sequence[float]) -> Any:
    """A colour for ``level``, one of ordered ``levels``, dark for the largest."""
    ordered = sorted(set(levels))
    place = ordered.index(level) / max(len(ordered) - 1, 1)
    return matplotlib.colormaps["viridis"](0.85 * (1 - place))


def means(
    axes: Axes, lines: pd.DataFrame, x: str, y: str, label: str, *, colour: Any = None, line: Any = "-", **marks: Any
) -> None:
    """Means over seeds, with 95 % intervals where there are two seeds or more, and the seeds as faint dots.

    Args:
        axes: drawn into.
        lines: one for each cell and replicate.
        x, y: columns: the mean of ``y`` is drawn at each value of ``x``.
        label: of the series in the legend, which has a colour and a marker of its own.
        colour: in the place of that.
        line: style of the line that joins the means.
        marks: options of ``Axes.errorbar``.
    """
    colour = colour or plots.colour(label)
    axes.plot(lines[x], lines[y], linestyle="", marker="o", markersize=2.5, alpha=0.4, color=colour)
    places = np.sort(lines[x].unique())
    intervals = [Interval.student_t(lines[y][lines[x] == place]) for place in places]
    value, lower, upper = np.array([(each.value, each.lower, each.upper) for each in intervals]).T
    options: dict[str, Any] = {"marker": plots.marker(label), "elinewidth": 1.2, "label": label} | marks
    axes.errorbar(places, value, [value - lower, upper - value], color=colour, linestyle=line, **options)
    # Intervals of two seeds are long: they may leave the frame, which is that of the means and the seeds.
    axes.relim()
    axes.autoscale_view()


def lengths(axes: Axes, lines: pd.DataFrame, column: str) -> None:
    """A ``column`` of ``lines`` against the latent dimension, drawn into ``axes``: a solid line for the longest
    training, a dotted one for the shortest."""
    for end, name, line in ((longest(lines), "longest", "-"), (shortest(lines), "shortest", ":")):
        for label, family in by_family(end):
            length = f"{label}, {family['updates'].iloc[0]:,} updates ({name})"
            means(axes, family, "latent_dim", column, length, line=line)
    log_dims(axes, dims(lines))


def dots(label: str, colour: Any = None) -> dict[str, Any]:
    """The style of single points of the series ``label``, whose ``colour`` is its usual one unless given."""
    options = {"linestyle": "", "marker": plots.marker(label), "markersize": 4, "alpha": 0.7}
    return options | {"color": colour or plots.colour(label), "label": label}


def guide(label: str = "") -> dict[str, Any]:
    """The style of a line to compare with: theory, a null value."""
    return {"color": plots.INK, "linewidth": 1.0, "linestyle": DASHED, "label": label or None}


def forest_height(lines: pd.DataFrame) -> float:
    """Inches that a forest of these families needs."""
    rows = sum(1 + len(label) // 26 for label in lines["family"].unique())
    return max(3.2, 1.2 + 0.2 * rows)


def forest(axes: Axes, criterion: Criterion) -> None:
    """Draws into ``axes`` the interval of ``criterion`` over all families above those of each, and shades the region
    where the claim has it."""
    parts = criterion.parts if len(criterion.parts) > 1 else {}
    rows = [("all", criterion.interval), *parts.items()]
    places = np.arange(len(rows))[::-1]
    for place, (label, interval) in zip(places, rows, strict=True):
        if not math.isfinite(interval.value):
            axes.text(0.5, place, "no interval", transform=axes.get_yaxis_transform(), ha="center", va="center")
            continue
        ends = [[interval.value - interval.lower], [interval.upper - interval.value]]
        colour, marker = (plots.INK, "D") if label == "all" else (plots.colour(label), plots.marker(label))
        axes.errorbar([interval.value], [place], xerr=ends, marker=marker, color=colour, elinewidth=1.6)
    axes.set_yticks(places, [textwrap.fill(label, 26) for label, _ in rows])
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(textwrap.fill(criterion.effect, 38))
    axes.margins(x=0.15)
    region(axes, criterion.least, criterion.most)


def region(axes: Axes, least: float, most: float, *, vertical: bool = True) -> None:
    """Shades the region between two values, as far as the axes reach, and draws its ends.

    Args:
        axes: drawn into.
        least, most: the ends, infinite where there is none.
        vertical: whether the ends are vertical lines, that is values of x; else of y.
    """
    get, put, span, line, scale = (
        (axes.get_xlim, axes.set_xlim, axes.axvspan, axes.axvline, axes.get_xscale())
        if vertical
        else (axes.get_ylim, axes.set_ylim, axes.axhspan, axes.axhline, axes.get_yscale())
    )
    ends = [end for end in (least, most) if math.isfinite(end)]
    low, high = min(get()[0], *ends), max(get()[1], *ends)
    if scale == "log":
        room = (high / low) ** 0.05
        low, high = low / room ** (low in ends), high * room ** (high in ends)
    else:
        room = 0.05 * (high - low)
        low, high = low - room * (low in ends), high + room * (high in ends)
    span(max(least, low), min(most, high), color=REGION, alpha=0.1, linewidth=0)
    for end in ends:
        line(end, color=REGION, linewidth=1.0, linestyle=DASHED)
    put(low, high)
