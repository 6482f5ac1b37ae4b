"""Samples: the images that every source gave, as one sprite per source of a cell, in the result's order and words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from analysis.sprite import sprite
from study.answers.report.picture import Picture
from study.answers.results import StoredCell

WIDTH = 160
"""Least width of a sprite on the page, in pixels."""


class Source(NamedTuple):
    """A source of samples: what it is called, where z comes from, its images, and how far they are from real ones."""

    name: str
    title: str
    formula: str
    picture: Picture
    distance: str


def sources(cell: StoredCell, title: str, distances: Mapping[str, str]) -> list[Source]:
    """Every source of the cell's first replicate, with its distance; none where images were not kept."""
    group = cell.group("samples")
    if group is None:
        return []
    found = []
    for name in map(str, group["source"].values):
        own = group.sel(source=name)
        heading, formula = str(own["title"].item()), str(own["formula"].item())
        pixels = sprite(own["pixels"].isel(chain=0).values)
        alt = f"Images from {heading} ({formula}) of {title}"
        scale = max(1, round(WIDTH / pixels.shape[1]))
        found.append(Source(name, heading, formula, Picture.of_pixels(pixels, alt, scale), distances.get(name, "")))
    return found
