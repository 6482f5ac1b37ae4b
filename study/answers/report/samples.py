"""Samples: the images that every source gave, as one sprite per source of a cell, in the result's order and words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from analysis.sprite import sprite
from study.answers.report.picture import Picture
from study.answers.results import StoredCell

WIDTH = 160
"""Least width of a sprite on the page, in pixels."""


class SampleGrid(NamedTuple):
    """Images from one source of samples.

    source: its name in the result.
    title, formula: what it is called, and where z comes from.
    picture: the images in rows.
    distance: squared Fréchet distance to real images, as text; empty where it was not measured.
    """

    source: str
    title: str
    formula: str
    picture: Picture
    distance: str


def sample_grids(cell: StoredCell, title: str, distances: Mapping[str, str]) -> list[SampleGrid]:
    """Images from every source, of the first replicate of ``cell``; none where images were not stored.

    Args:
        cell: the finished cell.
        title: what it is called in the text that stands for a picture.
        distances: to real images, as text, by source.
    """
    group = cell.stored[0].group("samples")
    if group is None:
        return []
    grids = []
    for name in map(str, group["source"].values):
        of_source = group.sel(source=name)
        heading, formula = str(of_source["title"].item()), str(of_source["formula"].item())
        pixels = sprite(of_source["pixels"].isel(chain=0).values)
        alt = f"Images from {heading} ({formula}) of {title}"
        scale = max(1, round(WIDTH / pixels.shape[1]))
        picture = Picture.of_pixels(pixels, alt, scale)
        grids.append(SampleGrid(name, heading, formula, picture, distances.get(name, "")))
    return grids
