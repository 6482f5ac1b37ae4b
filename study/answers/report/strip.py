"""Strip: the pictures of the shown cell in the order of the question, each with its level, for the first screen."""

from __future__ import annotations

from typing import NamedTuple

import xarray as xr

from analysis.sprite import sprite
from study.answers.conclusions import Conclusion, level
from study.answers.conclusions.words import repair_name
from study.answers.report.picture import Picture
from study.answers.results import StoredCell

TILES = {
    "held_out": ("Real", "images held out of training"),
    "reconstruction": ("Reconstruction", "decoded from the code of each image"),
    "local": ("Around a code", "points around the mean of a posterior, as widely spread as the prior"),
    "aggregate_train": ("Aggregate", "codes of all training images, drawn at random"),
    "prior": ("Prior", "points drawn from the distribution that training assumes for codes"),
}
"""Title and note of each source, in order; the repaired prior follows."""

REPAIRED_PRIOR = "Repaired prior"


class Tile(NamedTuple):
    """Pictures of one source.

    source: its name in the result.
    title, note: what it is called, and where its points come from.
    picture: the images in rows.
    level: squared Fréchet distance to real images, mean ± standard error, as text; empty where it was not measured.
    """

    source: str
    title: str
    note: str
    picture: Picture
    level: str


def strip(conclusion: Conclusion) -> list[Tile]:
    """The tiles of the shown cell that have pictures; empty where quality was not measured or no picture was kept."""
    phenomenon, repair = conclusion.phenomenon, conclusion.repair
    if phenomenon is None:
        return []
    wanted = [(phenomenon.cell, source, *words) for source, words in TILES.items()]
    if repair:
        treatment = repair.treatment
        wanted.append((treatment.treated, treatment.source, REPAIRED_PRIOR, repair_name(treatment)))
    tiles = (_of_cell(cell, source, title, note) for cell, source, title, note in wanted)
    return [each for each in tiles if each is not None]


def _of_cell(cell: StoredCell, source: str, title: str, note: str) -> Tile | None:
    return tile(cell.stored[0].group("samples"), source, title, note, str(level(cell, source) or ""))


def tile(samples: xr.Dataset | None, source: str, title: str, note: str, level_text: str) -> Tile | None:
    """The pictures of ``source`` in the group ``samples`` of a result, of its first replicate; None where it has none.

    ``title``, ``note`` and ``level_text`` are what the :class:`Tile` has.
    """
    if samples is None or source not in samples["source"].values:
        return None
    pixels = sprite(samples.sel(source=source)["pixels"].isel(chain=0).values)
    picture = Picture.of_pixels(pixels, f"{title}: {note}", max(1, round(160 / pixels.shape[1])))
    return Tile(source, title, note, picture, level_text)
