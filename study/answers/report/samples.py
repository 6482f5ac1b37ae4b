"""Samples: the images that every source gave, as one sprite per source of a cell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from analysis.sprite import sprite
from study.answers.report.picture import Picture
from study.answers.results import StoredCell

WIDTH = 160
"""Least width of a sprite on the page, in pixels."""

WORDS = {
    "held_out": ("real", "held-out images"),
    "reconstruction": ("reconstruction", "z = μ(x)"),
    "local": ("around a code", "z ~ N(μ(x), I)"),
    "aggregate_train": ("aggregate", "z ~ q(z|x), training images"),
    "aggregate_held_out": ("aggregate, held out", "z ~ q(z|x), held-out images"),
    "prior": ("prior", "z ~ p(z)"),
    "shell_prior": ("prior, on the shell", "z ~ p(z), moved to ‖z‖ = √D"),
    "prior_batch_statistics": ("prior, batch statistics", "batch normalisation as in training"),
    "shuffled_dimensions": ("shuffled dimensions", "each z_d from another image"),
    "shuffled_locations": ("shuffled places", "each place from another image"),
    "shuffled_channels": ("shuffled channels", "each channel from another image"),
}
"""Title and formula of sources, in the order of the page; any other source is a density fitted to codes."""


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
    names = [str(name) for name in group["source"].values]
    ordered = [name for name in WORDS if name in names] + [name for name in names if name not in WORDS]
    found = []
    for name in ordered:
        heading, formula = WORDS.get(
            name, (name, "z ~ r(z), fitted to codes" if name in distances else "codes changed")
        )
        pixels = sprite(group["pixels"].sel(source=name).isel(chain=0).values)
        alt = f"Images from {heading} ({formula}) of {title}"
        scale = max(1, round(WIDTH / pixels.shape[1]))
        found.append(Source(name, heading, formula, Picture.of_pixels(pixels, alt, scale), distances.get(name, "")))
    return found
