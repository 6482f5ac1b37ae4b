"""Reproduction: with what, on what, from which commands and in what time the cells were computed."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from study.answers.report.chapter import Chapter, dimension
from study.answers.results import StoredCell
from study.store.store import Store


class CellLine(NamedTuple):
    """A cell's provenance in one line.

    key: of the cell.
    label: what tells its model from others'.
    dimension: latent dimension D.
    seeds: number of replicates.
    updates: of the weights that were made, or planned where the cell does not tell.
    engine: how training ran, compiled, traced or eager; empty where the cell does not tell.
    device: on which it was computed.
    seconds: wall time of the run that finished it.
    """

    key: str
    label: str
    dimension: int
    seeds: int
    updates: str
    engine: str
    device: str
    seconds: float


class Reproduction(NamedTuple):
    """Commands, versions and checksums with which the same cells can be computed again.

    commands: what a user typed, each once.
    versions: names and versions of the packages, each set once.
    devices: on which cells were computed.
    seconds: wall time of all cells together.
    first, last: when the first and the last cell were stored, in ISO 8601.
    images: checksums of the images.
    cells: a line each, by label and dimension.
    absent: number of cells of the same studies without a stored result, by condition.
    left_out: why stored cells are not on the page, by study and key.
    """

    commands: list[str]
    versions: list[str]
    devices: list[str]
    seconds: float
    first: str
    last: str
    images: list[str]
    cells: list[CellLine]
    absent: dict[str, int]
    left_out: dict[str, str]


def reproduction(chapter: Chapter) -> Reproduction:
    """Commands, versions and checksums with which all cells of a chapter can be computed again."""
    manifests = [part.manifest for cell in chapter.results for part in cell.stored]
    lines = [_line(part, chapter.labels[cell.key]) for cell in chapter.results for part in cell.stored]
    versions = [", ".join(f"{name} {version}" for name, version in each.versions.items()) for each in manifests]
    created = sorted(each.created for each in manifests)
    return Reproduction(
        list(dict.fromkeys(each.command for each in manifests)),
        list(dict.fromkeys(versions)),
        list(dict.fromkeys(each.device for each in manifests)),
        sum(each.seconds for each in manifests),
        created[0],
        created[-1],
        list(dict.fromkeys(each.images for each in manifests)),
        sorted(lines, key=lambda line: (line.label, line.dimension)),
        _absent({part.store for cell in chapter.results for part in cell.stored}),
        {f"{place.parents[1].name}/{place.name}": reason for place, reason in chapter.left_out.items()},
    )


def _line(cell: StoredCell, label: str) -> CellLine:
    details = cell.manifest.details
    return CellLine(
        cell.key,
        label,
        dimension(cell),
        cell.settings["seeds"],
        str(details.get("updates", cell.settings.get("updates", ""))),
        str(details.get("engine", "")),
        cell.manifest.device,
        cell.manifest.seconds,
    )


def _absent(stores: set[Store]) -> dict[str, int]:
    counts = Counter(
        store.condition(key) for store in stores for key in store.known_keys() if not store.folder(key).exists()
    )
    return dict(sorted(counts.items()))
