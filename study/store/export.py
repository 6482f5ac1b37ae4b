"""Export: the finished cells of a study without their weights, small enough to be sent, committed and put together.

    <DIR>/<study>/cells/<key>/                result.nc (compressed), manifest.json
    <DIR>/<study>/effects/                    the tables that `latent-study effects` kept beside the study

An exported cell is a stored cell whose manifest lists no weights: whatever reads results reads it, and only what needs
a trained model refuses it. Its result holds the same numbers and pictures, bit for bit, or those groups alone of which
answers are made (:data:`study.store.extract.KEPT`). Its manifest has digests of its own, and its details have under
``weights_sha256`` that of the weights that were left behind.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from study.design.cell import seeds_of
from study.errors import ConfigurationError, EnvironmentFault
from study.files import own_folder, replacing, set_aside
from study.store.extract import KEPT
from study.store.manifest import SCHEMA_VERSION, Manifest, sha256
from study.store.netcdf import tree
from study.store.reading import Corrupt, content
from study.store.result import agree
from study.store.schema import check_result
from study.store.store import MANIFEST, RESULT, WEIGHTS, Store

if TYPE_CHECKING:
    import xarray as xr

COMPRESSION = {"zlib": True, "complevel": 9, "shuffle": True}
"""Compression of every array that is large enough."""

LEAST_COMPRESSED = 2**13
"""Bytes of an array from which compression gains more than the index of its chunks costs, some kilobytes."""

TABLES = "effects"
"""Folder of tables of a study that rest on its cells, in CSV."""

LEFT_BEHIND = "weights_sha256"
"""Among an exported manifest's details, the SHA-256 of the weights that the cell was stored with."""


class Exported(NamedTuple):
    """Result of an export.

    cells: cells that the folder now has of those of the study.
    size: their bytes there, and those of the tables.
    left_out: the reason of each stored cell or table that is not whole, by its place.
    """

    cells: int
    size: int
    left_out: Mapping[Path, str]


def export(source: Store, target: Store, *, estimates: bool = False) -> Exported:
    """Writes every whole cell of ``source`` without weights to ``target``, where those that are there already stay, and
    the tables of effects, which replace older ones.

    Args:
        source: the study.
        target: where it is written to.
        estimates: whether pictures and single draws are left behind, too, on which no answer rests.

    Raises:
        ConfigurationError: if ``target`` is ``source``, or has another result of one of its cells.
        EnvironmentFault: if the folder cannot be written.
    """
    if target.root.resolve() == source.root.resolve():
        raise ConfigurationError(
            f"expected a folder to export to; got {target.root}, the results themselves: name another"
        )
    whole, corrupt = source.survey()
    left_out = {source.folder(key): reason for key, reason in corrupt.items()}
    size = cells = 0
    for key, manifest in whole.items():
        try:
            result = source.read(key)
            check_result(result, len(seeds_of(manifest.config)))
            if estimates:
                result = result.filter(lambda group: group.parent is None or group.name in KEPT)
            if not _is_there(target, key, manifest, result, source):
                _write(target, key, manifest, result)
        except Corrupt as error:
            left_out[source.folder(key)] = str(error)
            continue
        cells += 1
        size += sum(os.path.getsize(target.folder(key) / name) for name in (RESULT, MANIFEST))
    for path in sorted((source.root / TABLES).glob("*.csv")) if cells else ():
        try:
            size += _copy(path, target.root / TABLES / path.name)
        except Corrupt as error:
            left_out[path] = str(error)
    return Exported(cells, size, left_out)


def _copy(path: Path, place: Path) -> int:
    """Copies a small regular file, and gives its bytes; raises Corrupt where it is none."""
    table = content(path)
    try:
        with replacing(own_folder(place.parent) / place.name) as aside:
            aside.write_bytes(table)
    except OSError as error:
        raise EnvironmentFault(f"cannot write {place}: {error.strerror or error}; choose another folder") from error
    return len(table)


def _is_there(target: Store, key: str, manifest: Manifest, result: xr.DataTree, source: Store) -> bool:
    """Whether ``target`` has the same result of the cell, and all groups of it; what does not verify there moves out of
    the way, as does a copy that has fewer groups."""
    if not os.path.lexists(target.folder(key)):
        return False
    try:
        of_same_images, there = target.verify(key).images == manifest.images, target.read(key)
    except Corrupt:
        set_aside(target.folder(key))
        return False
    if not (of_same_images and agree(there, result)):
        raise ConfigurationError(
            f"{target.folder(key)} holds another result of the cell than {source.folder(key)}: name another folder"
        )
    if there.children.keys() >= result.children.keys():
        return True
    set_aside(target.folder(key), word="replaced")
    return False


def _write(target: Store, key: str, manifest: Manifest, result: xr.DataTree) -> None:
    place = target.folder(key)
    try:
        own_folder(target.cells)
        with replacing(place) as aside:
            aside.mkdir()
            _compress(result, aside / RESULT)
            (aside / MANIFEST).write_text(_without_weights(manifest, aside / RESULT).model_dump_json(indent=2), "utf-8")
    except OSError as error:
        raise EnvironmentFault(f"cannot write {place}: {error.strerror or error}; choose another folder") from error


def _without_weights(manifest: Manifest, result: Path) -> Manifest:
    """The manifest of the exported cell, whose ``result`` is written."""
    behind = {LEFT_BEHIND: manifest.files[WEIGHTS]} if WEIGHTS in manifest.files else {}
    changes = {
        "schema_version": SCHEMA_VERSION,
        "files": {RESULT: sha256(result)},
        "details": manifest.details | behind,
    }
    return manifest.model_copy(update=changes).sealed()


def _compress(result: xr.DataTree, path: Path) -> None:
    """Writes the tree; raises Corrupt where that cannot be read back as it was, as with texts that end in zeros."""
    plain = result.map_over_datasets(lambda group: group.drop_encoding())
    encoding = {}
    for group in plain.subtree:
        variables = group.to_dataset(inherit=False).variables
        encoding[group.path] = {name: _encoding(values) for name, values in variables.items()}
    try:
        plain.to_netcdf(path, engine="netcdf4", encoding=encoding)
    except (TypeError, ValueError, RuntimeError) as error:  # attributes and texts that netCDF does not hold
        raise Corrupt(f"its result cannot be written again: {error}") from error
    if not tree(path).identical(result):
        raise Corrupt("its result is not the same when it is written again")


def _encoding(values: xr.Variable) -> dict[str, Any]:
    """How a variable is written: texts as characters, for texts of variable length do not compress."""
    numeric = values.dtype.kind in "fiub"
    width = (
        values.dtype.itemsize if numeric else max((len(str(text).encode()) for text in values.values.flat), default=0)
    )
    compressed = COMPRESSION if values.size * width >= LEAST_COMPRESSED else {}
    return compressed if numeric or not values.size else compressed | {"dtype": "S1"}


def export_studies(folders: Sequence[Path], targets: Sequence[Store], *, estimates: bool = False) -> Exported:
    """Exports each study folder of ``folders`` to that of ``targets`` in its place.

    Args:
        folders: the studies.
        targets: where each is written to.
        estimates: see :func:`export`.

    Raises ConfigurationError and EnvironmentFault as :func:`export` does; ConfigurationError, too, where no cell is
    whole.
    """
    done = [export(Store(folder), target, estimates=estimates) for folder, target in zip(folders, targets, strict=True)]
    left_out = {place: reason for each in done for place, reason in each.left_out.items()}
    total = Exported(sum(each.cells for each in done), sum(each.size for each in done), left_out)
    if not total.cells:
        raise ConfigurationError(f"no finished cell in {folders[0]}; `latent-study status` tells where each stands")
    return total
