"""Registry of sources: every declaration in this folder, and the images of all that a model has."""

from __future__ import annotations

from collections.abc import Container, Mapping
from functools import cache
from typing import Protocol

import torch
from torch import Generator, Tensor

from study.measurement.discovery import declared
from study.measurement.encoding import decode
from study.measurement.sources._base import Source, Start


class LatentSampler(Protocol):
    """A density over flattened latents, fitted after training."""

    def sample(self, num: int, generator: Generator, /) -> Tensor:
        """Independent draws ``(num, D)`` by ``generator``."""


@cache
def registered() -> dict[str, Source]:
    """Every source by name, in the order in which they are shown."""
    declarations = declared("study.measurement.sources", Source)
    by_name = {module.__name__.rpartition(".")[2]: source for module, source in declarations}
    return dict(sorted(by_name.items(), key=lambda item: (item[1].place, item[0])))


def of_density(name: str, density: LatentSampler) -> Source:
    """The source that ``density``, fitted to codes, is under its ``name``."""

    def images(start: Start) -> Tensor:
        z = density.sample(len(start), start.stream(name))
        return decode(start.vae, z.to(start.train).reshape_as(start.train))

    place = 1 + max(source.place for source in registered().values())
    return Source(name, "z ~ r(z), fitted to codes", place, images)


@torch.no_grad()
def sample_sources(
    start: Start, densities: Mapping[str, LatentSampler], omit: Container[str] = ()
) -> dict[str, Tensor]:
    """Images of every source that the model has, by name: ``(m, C, H, W)`` where it starts from the m held-out ones of
    ``start``, and else ``(n, C, H, W)``.

    Args:
        start: what every source starts from.
        densities: fitted to codes; each is one more source, under its name.
        omit: names of sources that are left out.

    Raises:
        ValueError: if a density has a source's name.
    """
    sources = dict(registered())
    for name, density in densities.items():
        if name in sources:
            raise ValueError(f"expected densities with names of their own; got {name!r}, a source: rename it")
        sources[name] = of_density(name, density)
    images = {name: source.images(start) for name, source in sources.items() if name not in omit}
    return {name: decoded for name, decoded in images.items() if decoded is not None}
