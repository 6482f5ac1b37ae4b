"""Strip: the pictures of the shown cell in the order of the question, each with its level, for the first screen."""

from __future__ import annotations

from typing import NamedTuple

from analysis.sprite import sprite
from study.answers.conclusions import Conclusion, level
from study.answers.conclusions.words import repair_name
from study.answers.report.picture import Picture
from study.answers.results import StoredCell

TILES = {
    "held_out": ("Real", "images held out of training"),
    "reconstruction": ("Reconstruction", "decoded from the code of each image"),
    "local": ("Around a code", "the code, with as much noise as the prior has"),
    "aggregate_train": ("Aggregate", "codes of all training images, drawn at random"),
    "prior": ("Prior", "points drawn from what training takes codes to be like"),
}
"""Title and note of each source, in order; the repaired prior follows."""


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
        wanted.append((treatment.treated, treatment.source, "Repaired prior", repair_name(treatment)))
    return [tile for each in wanted if (tile := _tile(*each))]


def _tile(cell: StoredCell, source: str, title: str, note: str) -> Tile | None:
    group = cell.group("samples")
    if group is None or source not in group["source"].values:
        return None
    pixels = sprite(group.sel(source=source)["pixels"].isel(chain=0).values)
    picture = Picture.of_pixels(pixels, f"{title}: images decoded from {note}", max(1, round(160 / pixels.shape[1])))
    return Tile(source, title, note, picture, str(level(cell, source) or ""))
