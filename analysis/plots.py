r"""Plots: figures of arrays, all in one style.

A label has one colour and one marker wherever it appears: both follow from its name alone (the text before the first
comma, so that ``vamp`` and ``vamp, beta=4`` agree), never from what else is drawn. Colours are the ten of
:data:`PALETTE`, which dichromats tell apart in pairs by hue or by lightness; markers tell apart the names that share
a colour. Figures are made without pyplot: nothing global is kept or changed.

Every figure function takes plain arrays or labelled sequences, and the first paragraph of its docstring is
the caption.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, final, override

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from analysis.interval import Interval

INK, MUTED, GRID, PAPER = "#1f2430", "#6b7280", "#e3e5ea", "#ffffff"
"""Text and frames; secondary text; grid lines; background."""

PALETTE = (
    "#2f6db5", "#d9622b", "#1d8a66", "#b0418f", "#a5821d",
    "#6f63c8", "#c43c4e", "#3a97b8", "#6f8f2c", "#8a5a44",
)  # fmt: skip
"""Series colours, each with at least 3:1 contrast on white and on the dark page."""

MARKERS = ("o", "s", "D", "^", "v", "P", "X", "p")

ROLES = {"aggregate": PALETTE[0], "prior": PALETTE[1]}
"""Colours of the two populations of draws that every mismatch is between."""

_SALT = b"87814"

STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "semibold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.facecolor": "none",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "lines.markersize": 5.5,
    "errorbar.capsize": 0,
}
"""Matplotlib settings under which axes of :func:`figure` are made."""


def colour(label: str) -> str:
    """The colour of a prior, a source of samples or any other name, as ``#rrggbb``."""
    return PALETTE[_number(label) % len(PALETTE)]


def marker(label: str) -> str:
    """The marker of a name, independent of its colour."""
    return MARKERS[_number(label) // len(PALETTE) % len(MARKERS)]


def _name(label: str) -> str:
    return label.partition(",")[0].strip()


def _number(label: str) -> int:
    return int.from_bytes(hashlib.blake2b(_name(label).encode(), digest_size=4, key=_SALT).digest())


@final
class _Styled(Figure):
    """A figure whose axes are made under :data:`STYLE`, whatever the global settings are."""

    @override
    def add_subplot(self, *args: Any, **kwargs: Any) -> Axes:
        with matplotlib.rc_context(STYLE):
            return super().add_subplot(*args, **kwargs)

    @override
    def legend(self, *args: Any, **kwargs: Any) -> Any:
        with matplotlib.rc_context(STYLE):
            return super().legend(*args, **kwargs)


def figure(width: float = 4.8, height: float = 3.3) -> Figure:
    """An empty figure of ``width`` × ``height`` inches; ``figure(…).subplots(rows, columns)`` gives styled axes."""
    with matplotlib.rc_context(STYLE):
        return _Styled(figsize=(width, height), layout="constrained", facecolor="none", dpi=100)


def trend(
    series: Mapping[str, Sequence[tuple[float, Interval]]], ylabel: str, *, xlabel: str = "latent dimension D"
) -> Figure:
    """Means over seeds with 95 % intervals (Student-t over seeds), one line per label, over a logarithmic axis.

    Args:
        series: by label, places on the axis with their intervals.
        ylabel: what the intervals are of, with its unit.
        xlabel: what the places are.
    """
    chart = figure()
    axes = chart.subplots()
    marks = sorted({x for points in series.values() for x, _ in points})
    for place, (label, style) in enumerate(lines(series).items()):
        shift = 1.04 ** (place - (len(series) - 1) / 2)  # so that intervals at one D stand side by side
        places, intervals = zip(*series[label], strict=True)
        _intervals(axes, [place * shift for place in places], intervals, label, style)
    _log_axis(axes, marks)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    legend(chart, series)
    return chart


def lines(labels: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Colour, marker and dashes of each of several labels: those of one name are told apart by dashes and filling."""
    uses: Counter[str] = Counter()
    styles = {}
    for label in labels:
        name = _name(label)
        hue = colour(label)
        dashes, filling = _DASHES[uses[name] % len(_DASHES)], PAPER if uses[name] % 2 else hue
        styles[label] = {"color": hue, "marker": marker(label), "linestyle": dashes, "markerfacecolor": filling}
        uses[name] += 1
    return styles


_DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (5, 1.5, 1.5, 1.5)))


def _intervals(axes: Axes, x: npt.ArrayLike, intervals: Sequence[Interval], label: str, style: dict[str, Any]) -> None:
    values = [interval.value for interval in intervals]
    shape: dict[str, Any] = {"linewidth": 1.6, "elinewidth": 1.1, "markersize": 5, "label": label}
    axes.errorbar(x, values, whiskers(intervals), **shape, **style)


def whiskers(intervals: Sequence[Interval]) -> npt.NDArray[np.float64]:
    """Lengths below and above the values, ``(2, n)``; 0 where there is no interval."""
    return np.nan_to_num([[i.value - i.lower for i in intervals], [i.upper - i.value for i in intervals]])


def _log_axis(axes: Axes, marks: Sequence[float]) -> None:
    axes.set_xscale("log")
    ticks = marks if len(marks) < 9 else marks[:: len(marks) // 8 + 1]
    axes.set_xticks(ticks, [f"{mark:g}" for mark in ticks])
    axes.xaxis.set_minor_locator(NullLocator())


def legend(chart: Figure, labels: Iterable[str], **options: Any) -> None:
    """A legend above the axes, where it hides nothing; the figure grows by its lines.

    Args:
        chart: the figure.
        labels: what it explains.
        options: of matplotlib's legend.
    """
    texts = list(labels)
    longest = max(map(len, texts))
    columns = max(1, min(len(texts), _LETTERS // (longest + 6)))
    spacing: dict[str, Any] = {"handlelength": 2.0, "labelspacing": 0.3, "columnspacing": 1.2, "borderaxespad": 0.1}
    chart.legend(loc="outside upper left", ncols=columns, **(spacing | options))
    chart.set_figheight(chart.get_figheight() + 0.17 * (math.ceil(len(texts) / columns) - 1))


_LETTERS = 78
"""Number of entries that fit beside each other in a legend."""


def _bend(axes: Axes) -> None:
    """A horizontal axis that is linear between −1 and 1 and logarithmic beyond."""
    axes.set_xscale("symlog", linthresh=1.0)
    lower, upper = axes.get_xlim()
    marks = [mark for mark in (-1000, -100, -10, -1, 0, 1, 3, 10, 30, 100, 1000) if lower <= mark <= upper]
    axes.set_xticks(marks, [f"{mark:g}".replace("-", "−") for mark in marks])
    axes.xaxis.set_minor_locator(NullLocator())


class Decomposition(NamedTuple):
    """The rate of one cell and what it is made of, in nats.

    label: of the cell.
    information: I_N.
    mismatch: KL(q_N ‖ p).
    half_width: of the 95 % interval of the rate.
    saturated: whether the information is at its ceiling log N, and hence only a lower bound.
    """

    label: str
    information: float
    mismatch: float
    half_width: float
    saturated: bool


def decomposition(bars: Sequence[Decomposition], log_n: float) -> Figure:
    """The rate R = I_N + KL(q_N ‖ p): information about which image it was, and mismatch of aggregate and prior (nats,
    means over seeds; whiskers: 95 % of the rate). The dashed line is log N, which the information cannot exceed: a bar
    marked * has reached it, and says nothing of what lies beyond.

    Args:
        bars: one per cell.
        log_n: log N in nats.
    """
    chart = figure(4.8, 0.9 + 0.4 * len(bars))
    axes = chart.subplots()
    rows = np.arange(len(bars))[::-1]
    information, mismatch = np.array([b.information for b in bars]), np.array([b.mismatch for b in bars])
    axes.barh(rows, information, height=0.42, color=PALETTE[0], label="information I_N")
    axes.barh(rows, mismatch, left=information, height=0.42, color=PALETTE[1], label="mismatch KL(q_N ‖ p)")
    errors = np.array([b.half_width for b in bars])
    axes.errorbar(information + mismatch, rows, xerr=errors, linestyle="", color=INK, elinewidth=1.2)
    axes.axvline(log_n, color=INK, linewidth=1.0, linestyle=(0, (4, 3)), label="log N")
    labels = [f"{bar.label}{' *' if bar.saturated else ''}" for bar in bars]
    # Beside the bars, labels would take the room of these.
    axes.set_yticks(rows + 0.24, labels, ha="left", va="bottom", fontsize=8)
    axes.tick_params("y", length=0, pad=-1)
    axes.set_ylim(-0.5, len(bars) - 0.2)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("nats")
    legend(chart, ("information I_N", "mismatch KL(q_N ‖ p)", "log N"))
    return chart


def rate_distortion(series: Mapping[str, Sequence[tuple[float, Interval, Interval]]]) -> Figure:
    """Distortion −E log p(x|z) against rate (nats per image, training images), with 95 % intervals over seeds; along a
    line the latent dimension grows; the rate's axis is linear to 1 nat and logarithmic beyond."""
    chart = figure()
    axes = chart.subplots()
    for label, style in lines(series).items():
        points = series[label]
        _, rates, distortions = zip(*points, strict=True)
        x, y = [rate.value for rate in rates], [distortion.value for distortion in distortions]
        _intervals(axes, x, distortions, label, style)
        axes.errorbar(x, y, xerr=whiskers(rates), linestyle="", elinewidth=1.1, color=colour(label))
        for dim, rate, distortion in (points[0], points[-1]) if len(points) > 1 else ():
            place = (rate.value, distortion.value)
            axes.annotate(f"D = {dim:g}", place, (5, 4), textcoords="offset points", fontsize=8)
    _bend(axes)
    axes.set_xlabel("rate R, nats")
    axes.set_ylabel("distortion, nats")
    legend(chart, series)
    return chart


def forest(
    rows: Sequence[tuple[str, Interval]], xlabel: str, references: Sequence[float] = (), *, bent: bool = False
) -> Figure:
    """Means over seeds with 95 % intervals, one row each; dashed lines are the values to compare with.

    Args:
        rows: labels and intervals, from above.
        xlabel: what the intervals are of, with its unit.
        references: values to compare with.
        bent: whether the axis is logarithmic beyond −1 and 1.
    """
    longest = max(len(label) for label, _ in rows)
    chart = figure(max(4.8, 2.2 + 0.072 * longest), 0.8 + 0.25 * len(rows))
    axes = chart.subplots()
    places = np.arange(len(rows))[::-1]
    for place, (label, interval) in zip(places, rows, strict=True):
        shape: dict[str, Any] = {"marker": marker(label), "color": colour(label), "elinewidth": 1.6, "markersize": 5.5}
        axes.errorbar([interval.value], [place], xerr=whiskers([interval]), **shape)
    for reference in references:
        axes.axvline(reference, color=INK, linewidth=1.0, linestyle=(0, (4, 3)))
    axes.set_yticks(places, [label for label, _ in rows])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    if bent:
        _bend(axes)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(xlabel)
    return chart


def curves(series: Mapping[str, npt.NDArray[Any]], ylabel: str) -> Figure:
    """Training curves, mean over seeds per epoch. A curve that still falls at its end is a run that was too short: its
    cell speaks of optimisation as well.

    Args:
        series: by label, one value per epoch, ``(E,)``.
        ylabel: what the values are, with their unit.
    """
    chart = figure()
    axes = chart.subplots()
    for label, style in lines(series).items():
        finite = np.flatnonzero(np.isfinite(series[label]))
        axes.plot(finite + 1, series[label][finite], linewidth=1.4, label=label, **style | {"marker": ""})
    axes.set_xlabel("epoch")
    axes.set_ylabel(ylabel)
    legend(chart, series)
    return chart
