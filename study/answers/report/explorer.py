"""Explorer: one panel per cell, of which the page shows the one chosen by label and latent dimension."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import xarray as xr

from analysis import draw_plots
from analysis.rank_plot import ranks
from analysis.summaries import as_text
from study.answers.report.chapter import Chapter, dimension, flags, measured
from study.answers.report.overview import CaptionedFigure, caption
from study.answers.report.picture import Picture
from study.answers.report.samples import SampleGrid, sample_grids
from study.answers.results import StoredCell

FACTS = {
    "rate R": "aggregate/train/rate",
    "information I_N": "aggregate/train/information",
    "KL(q_N ‖ p)": "aggregate/train/kl",
    "total variation": "aggregate/train/total_variation",
    "log p(x) ≥": "aggregate/held_out/log_px",
    "log p(x) ≥, annealed": "aggregate/held_out/log_px_annealed",
    "p-value of calibration": "aggregate/held_out/calibration_p_value",
    "active units": "aggregate/train/active_units",
}
"""Numbers of a panel: the address of each, see :mod:`analysis.address`."""


class Panel(NamedTuple):
    """One cell as the page shows it.

    key: of the cell.
    label: what tells its model from others'.
    dimension: latent dimension D.
    facts: numbers as text, with their standard errors, by name.
    grids: samples of every source.
    pictures: figures of its draws and, where there is one, of its calibration.
    """

    key: str
    label: str
    dimension: int
    facts: dict[str, str]
    grids: list[SampleGrid]
    pictures: list[Picture]


def panels(chapter: Chapter) -> list[Panel]:
    """The cells that are shown, by label and latent dimension."""
    ordered = sorted(chapter.shown, key=lambda cell: (chapter.labels[cell.key], dimension(cell), cell.key))
    return [_panel(cell, chapter.labels[cell.key]) for cell in ordered]


def _panel(cell: StoredCell, label: str) -> Panel:
    title = f"{label}, D = {dimension(cell)}"
    realism = cell.tables.get("realism")
    rows = [] if realism is None else list(realism.rows)
    distances = {row: text for row in rows if (text := _text(cell, f"realism/{row}/squared_frechet"))}
    pictures = [each._replace(title=f"{each.title}, {title}").picture() for each in figures(cell)]
    facts = {name: text for name, estimate in FACTS.items() if (text := _text(cell, estimate))}
    return Panel(cell.key, label, dimension(cell), facts, sample_grids(cell, title, distances), pictures)


def figures(cell: StoredCell) -> Iterator[CaptionedFigure]:
    """The bubble picture, the shells and, where it was asked for, the calibration of the cell's first replicate."""
    first = cell.stored[0]
    draws, prior, norms = first.group("sample_stats"), first.group("prior_draws"), first.group("shells")
    if draws is not None and prior is not None:
        yield CaptionedFigure(
            "bubbles", "Bubbles", draw_plots.bubbles(_densities(draws), _densities(prior)), caption(draw_plots.bubbles)
        )
    if norms is not None:
        both = [norms[f"{name}_norm"].isel(chain=0).values for name in ("aggregate", "prior")]
        yield CaptionedFigure("shells", "Shells", draw_plots.shells(*both), caption(draw_plots.shells))
    calibration = first.group("calibration")
    if calibration is not None:
        of_replicate = calibration.isel(chain=0)
        figure = ranks(*(of_replicate[name].values for name in ("share", "lower", "upper")))
        yield CaptionedFigure("ranks", "Calibration", figure, caption(ranks))


def _densities(group: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """log q_N and log p of the first replicate's draws, ``(M,)`` each."""
    first = group.sel(split="train").isel(chain=0)
    return first["log_q"].values, first["log_p"].values


def _text(cell: StoredCell, estimate: str) -> str:
    mean = measured(cell, estimate)
    if mean is None:
        return ""
    return as_text({"mean": mean.value, "standard_error": mean.standard_error, "flags": flags(cell, estimate)})
