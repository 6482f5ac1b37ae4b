"""Overview: the figures that set cells side by side; each is drawn where its measurements are there."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from analysis import plots
from analysis.alignment_plot import alignment
from analysis.interval import Interval
from analysis.plots import Decomposition
from study.answers.remedies import EX_POST, POOLED
from study.answers.report.chapter import FEW, Chapter, dimension, flags, measured, quality_gap
from study.answers.report.picture import Picture
from study.answers.results import StoredCell

Measure = Callable[[StoredCell], Interval | None]


class CaptionedFigure(NamedTuple):
    """A figure with what is written about it.

    name: of its files.
    title: a few words above it.
    figure: drawn.
    caption: what its axes are, with their units, and what it shows.
    """

    name: str
    title: str
    figure: Figure
    caption: str

    def picture(self) -> Picture:
        """As the page shows it."""
        return Picture.of_figure(self.figure, f"{self.title}. {self.caption}", self.title, self.caption)


def caption(function: Callable[..., Figure]) -> str:
    """The first paragraph of the docstring of a figure's function, which is its caption."""
    return " ".join((function.__doc__ or "").partition("\n\n")[0].split())


def headline(chapter: Chapter) -> Iterator[CaptionedFigure]:
    """Mismatch and quality gap across the latent dimension."""
    yield from _trend(
        chapter,
        "mismatch",
        "Mismatch KL(q_N ‖ p)",
        "nats",
        lambda cell: measured(cell, "aggregate/train/kl"),
        "Divergence of the aggregate posterior of the training images from the prior.",
    )
    yield from _trend(
        chapter,
        "quality_gap",
        "Quality gap of prior samples",
        "squared Fréchet distance",
        quality_gap,
        "How much further from real images samples of the prior are than samples of the aggregate posterior, seed by "
        "seed: 0 where both are equally far, as also where the decoder makes only noise.",
    )


def information(chapter: Chapter) -> Iterator[CaptionedFigure]:
    """Rate, information and distortion."""
    bars = [bar for label, cells in chapter.series().items() for cell in cells if (bar := _bar(label, cell))]
    log_n = [over.value for cell in chapter.principal if (over := measured(cell, "aggregate/train/log_n"))]
    if bars and log_n:
        figure = plots.decomposition(bars, max(log_n))
        yield CaptionedFigure("decomposition", "What the rate is made of", figure, caption(plots.decomposition))
    series = {label: points for label, cells in chapter.series().items() if (points := _rate_distortion(cells))}
    if series:
        figure = plots.rate_distortion(series)
        yield CaptionedFigure("rate_distortion", "Rate and distortion", figure, caption(plots.rate_distortion))
    yield from _trend(
        chapter,
        "log_px",
        "Held-out log p(x), lower bound",
        "nats",
        lambda cell: measured(cell, "aggregate/held_out/log_px"),
        "Importance-weighted bound on the log-likelihood of held-out images, per image; higher is better.",
    )
    lines = {f"{label}, D = {dimension(cells[-1])}": curve for label, cells in chapter.along().items()
             if (curve := _curve(cells[-1])) is not None}  # fmt: skip
    if lines:
        figure = plots.curves(lines, "−ELBO of held-out images, nats")
        yield CaptionedFigure("training", "Was training long enough?", figure, caption(plots.curves))


def estimates(chapter: Chapter) -> Iterator[CaptionedFigure]:
    """Forests: what tells aggregate and prior apart, and what does not."""
    for quantity, title, xlabel, references, about in (
        (
            "norm_auc",
            "Norms alone",
            "AUC of ‖z‖",
            (0.5,),
            "Area under the ROC curve (AUC) with which the norm ‖z‖ tells draws of q_N from draws of p; ½: not at all.",
        ),
        (
            "log_ratio_auc",
            "The best test",
            "AUC of log q_N − log p",
            (0.5, 1.0),
            "The same area for the exact log-ratio of the two densities, the best test there is.",
        ),
        ("total_variation", "Overlap", "TV(q_N, p)", (0.0, 1.0), "Total variation distance: 1 is no overlap at all."),
        ("active_units", "Units in use", "active units", (), "Dimensions whose posterior mean varies with the image."),
    ):
        rows = [
            (f"{label}, D = {dimension(cell)}", over)
            for label, cells in chapter.along().items()
            for cell in cells
            if (over := measured(cell, f"aggregate/train/{quantity}"))
        ]
        if rows:
            yield CaptionedFigure(
                quantity, title, plots.forest(rows, xlabel, references), f"{about} {caption(plots.forest)}"
            )


def along_training(chapter: Chapter) -> Iterator[CaptionedFigure]:
    """Alignment of the decoder with the axes, where cells differ in the length of training and gains are measured."""
    series = {}
    for family in chapter.results.families("updates"):
        cells = sorted(family, key=lambda cell: int(cell.settings["updates"]))
        points = [point for cell in cells if (point := _alignment(cell))]
        if len(points) > 1:
            parts = chapter.labels[cells[-1].key].split(", ")
            label = ", ".join(part for part in parts if not part.startswith("updates="))
            series[f"{label}, D = {dimension(cells[-1])}"] = points
    if series:
        chosen = dict(list(series.items())[:FEW])
        title = "Alignment with the axes, and correlated codes"
        yield CaptionedFigure("alignment", title, alignment(chosen), caption(alignment))


def _alignment(cell: StoredCell) -> tuple[int, Interval, Interval] | None:
    """Updates, the share of JᵀJ off the axes relative to a random rotation, and the correlation part of KL(G ‖ p)."""
    nats = measured(cell, "aggregate/train/kl_correlations")
    off, rotated = (cell.numbers(f"aggregate/train/{name}") for name in ("off_axes", "off_axes_rotated"))
    if nats is None or off is None or rotated is None:
        return None
    share = Interval.student_t(off[:, 0] / rotated[:, 0])
    return (int(cell.settings["updates"]), share, nats) if share.n else None


def remedies(chapter: Chapter) -> Iterator[CaptionedFigure]:
    """Share of the gap that each remedy closes."""
    table = chapter.remedies[chapter.remedies["share"].notna()]
    if table.empty:
        return
    pooled = table[table["latent_dim"] == POOLED]
    lines = pooled if len(pooled) else table[table["latent_dim"] == table["latent_dim"].max()]
    common = min(lines["of"], key=len).split(", ")
    rows = []
    for line in lines.to_dict("records"):
        how = "fitted" if line["kind"] == EX_POST else "trained"
        name = ", ".join([line["remedy"], how, *(part for part in line["of"].split(", ") if part not in common)])
        rows.append((name, Interval(line["share"], line["lower"], line["upper"], line["seeds"])))
    where = "over all latent dimensions" if len(pooled) else f"at D = {lines['latent_dim'].iloc[0]}"
    figure = plots.forest(rows, "share of the gap closed", (0.0, 1.0), bent=True)
    yield CaptionedFigure("remedies", f"Remedies, ranked {where}", figure, _REMEDIES)


_REMEDIES = (
    "Share of the quality gap that each remedy closes, with Fieller's 95 % interval, paired by seed: at 0 samples are "
    "as bad as those of the standard prior, at 1 as good as those of its exact aggregate posterior; a model trained "
    "otherwise may pass 1. Fitted: a density of the codes, networks frozen; trained: with the networks. The axis is "
    "linear between −1 and 1 and logarithmic beyond. Where an interval holds 0, it is not shown that the remedy helps."
)


def _trend(
    chapter: Chapter, name: str, title: str, ylabel: str, measure: Measure, about: str
) -> Iterator[CaptionedFigure]:
    series = {label: _points(cells, measure) for label, cells in chapter.along().items()}
    series = {label: points for label, points in series.items() if points}
    if series:
        yield CaptionedFigure(name, title, plots.trend(series, ylabel), f"{about} {caption(plots.trend)}")


def _points(cells: Sequence[StoredCell], measure: Measure) -> list[tuple[float, Interval]]:
    return [(dimension(cell), over) for cell in cells if (over := measure(cell))]


def _rate_distortion(cells: Sequence[StoredCell]) -> list[tuple[float, Interval, Interval]]:
    """Latent dimension, rate and distortion of the cells that have both."""
    rates, distortions = (
        [measured(cell, f"aggregate/train/{name}") for cell in cells] for name in ("rate", "distortion")
    )
    triples = zip(map(dimension, cells), rates, distortions, strict=True)
    return [(dim, rate, distortion) for dim, rate, distortion in triples if rate and distortion]


def _bar(label: str, cell: StoredCell) -> Decomposition | None:
    names = ("aggregate/train/rate", "aggregate/train/information", "aggregate/train/kl")
    rate, known, mismatch = (measured(cell, name) for name in names)
    if not (rate and known and mismatch):
        return None
    half = rate.upper - rate.value if math.isfinite(rate.upper) else 0.0
    saturated = any("saturated" in flags(cell, name) for name in names[1:])
    return Decomposition(f"{label}, D = {dimension(cell)}", known.value, mismatch.value, half, saturated)


def _curve(cell: StoredCell) -> np.ndarray | None:
    training = cell.group("training")
    if training is None or "held_out_loss" not in training:
        return None
    return np.asarray(training["held_out_loss"].transpose("epoch", "chain").values.mean(1))
