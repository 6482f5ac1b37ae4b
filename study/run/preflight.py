"""Preflight: what must hold before any cell of a study runs; each fault costs seconds here and hours later."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from study.design.cell import Cell
from study.design.cost import Cost
from study.design.parts import Part
from study.errors import DataError
from study.run.checking import check_all
from study.run.data.loading import load, look
from study.store.index import standings
from study.store.store import Corrupt, Store


def check_roots(cells: Sequence[Cell], data_root: Path | None) -> None:
    """Raises DataError where a glance at the data shows that the images of a cell cannot be had.

    cells: the cells.
    data_root: where data sets are kept; None for the usual place.
    """
    for dataset in dict.fromkeys(cell.dataset for cell in cells):
        look(dataset.name, root=data_root, **dataset.options)


def check_images(cells: Sequence[Cell], store: Store, data_root: Path | None) -> tuple[dict[str, str], dict[str, Cost]]:
    """Checksum of the images of each cell, and what the cell takes, by key. Images that are absent are fetched.

    cells: the cells.
    store: their results.
    data_root: where data sets are kept; None for the usual place.

    Raises DataError where images cannot be had, or are not those from which a stored cell was computed, and
    ConfigurationError where a cell's parts do not suit their shape.
    """
    checksums: dict[str, str] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    loaded = {}
    for cell in cells:
        choice = (cell.dataset, cell.image_size, cell.limit)
        if choice not in loaded:
            data = load(
                cell.dataset.name,
                root=data_root,
                image_size=cell.image_size,
                limit=cell.limit,
                download=True,
                **cell.dataset.options,
            )
            loaded[choice] = data.checksum, tuple(data.images.shape)
        checksums[cell.key], shapes[cell.key] = loaded[choice]
    costs = check_all(cells, shapes)
    done = {key for key, found in standings(store, list(checksums)).items() if found.condition == "done"}
    for cell in (cell for cell in cells if cell.key in done):
        with suppress(Corrupt):
            if store.manifest(cell.key).images != checksums[cell.key]:
                raise DataError(
                    f"{store.folder(cell.key)} was computed from other images than the {cell.dataset.name} found now; "
                    "choose another --results, or the --data-root it was made with"
                )
    return checksums, costs


@cache
def _checksum(dataset: Part, image_size: int | None, limit: int | None, data_root: Path | None) -> str:
    return load(
        dataset.name, root=data_root, image_size=image_size, limit=limit, download=True, **dataset.options
    ).checksum


def check_same_images(cell: Cell, images: str, data_root: Path | None) -> None:
    """Raises DataError where this computer has other images of a cell than the one where the command runs.

    cell: whose images are looked at, those of each data set once.
    images: checksum of the others.
    data_root: where data sets are kept; None for the usual place.
    """
    if _checksum(cell.dataset, cell.image_size, cell.limit, data_root) != images:
        raise DataError(
            f"the worker on {socket.gethostname()} has other images of {cell.dataset.name} than there are where the "
            "command runs; copy those to it, or name them with --data-root"
        )
