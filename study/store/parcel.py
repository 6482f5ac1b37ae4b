"""Parcel: the files of one cell as bytes, between a store and another that no common folder connects.

A parcel is untrusted: it came over a network. A finished cell is verified, and of the configuration and images that
were asked for, before it takes its place; checkpoints are held to what they say of themselves when they are read.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from study.design.cell import Cell
from study.errors import DataError
from study.files import own_folder, replacing
from study.paths import safe_name
from study.store.reading import MAX_RECORD, Corrupt, content, record
from study.store.records import FailureRecord
from study.store.store import CELL, MANIFEST, RESULT, WEIGHTS, Store

MAX_PARCEL = 2**30
"""Bytes of all files of a cell that go over the network: 1 GiB."""

MAX_FILES = 1_000

PARTS = {RESULT, WEIGHTS, MANIFEST}
"""Names of the files of a finished cell."""

DONE, UNFINISHED, FAILED = "done", "unfinished", "failed"


def pack(store: Store, key: str) -> dict[str, bytes]:
    """What ``store`` has of the cell ``key``: bytes of files, by ``condition/name``.

    Raises DataError where that is more than MAX_PARCEL.
    """
    folders = {DONE: store.folder(key), UNFINISHED: store.workspace(key)}
    names = {DONE: PARTS}
    files = {
        f"{condition}/{path.name}": path
        for condition, folder in folders.items()
        for path in (sorted(folder.iterdir()) if folder.is_dir() else ())
        if path.is_file() and path.name in names.get(condition, (path.name,))
    }
    failure = store.failure_file(key)
    if failure.is_file():
        files[f"{FAILED}/{failure.name}"] = failure
    size = sum(path.stat().st_size for path in files.values())
    if size > MAX_PARCEL:
        raise DataError(
            f"the cell {key} has {size:,} bytes, more than the {MAX_PARCEL:,} that go through a scheduler; name "
            "--results that the workers see too"
        )
    return {name: content(path, MAX_PARCEL) for name, path in files.items()}


def unpack(store: Store, cell: Cell, images: str, files: Mapping[str, bytes]) -> None:
    """Lays down in ``store`` what another has packed; the caller holds the cell's lock.

    store: where.
    cell: which cell was asked for.
    images: checksum of the images that it was to be computed from.
    files: the parcel.

    Raises :class:`Corrupt` where a file is not what it should be, and leaves the store as it was.
    """
    by_condition: dict[str, dict[str, bytes]] = {DONE: {}, UNFINISHED: {}, FAILED: {}}
    _check(files)
    for path, data in files.items():
        condition, _, name = path.partition("/")
        if condition not in by_condition:
            raise Corrupt(f"a parcel has no {condition[:40]!r}")
        try:
            by_condition[condition][safe_name(name)] = data
        except ValueError as error:
            raise Corrupt(str(error)) from error
    own_folder(store.cells)
    if by_condition[DONE]:
        if strange := by_condition[DONE].keys() - PARTS:
            raise Corrupt(f"a finished cell has no file {min(strange)[:40]!r}")
        _finish(store, cell, images, by_condition[DONE])
        return
    workspace = own_folder(store.workspace(cell.key))
    for name, data in by_condition[UNFINISHED].items():
        if name != CELL:  # its record is of this store
            _write(workspace / name, data)
    for data in by_condition[FAILED].values():
        _fail(store, cell, data)


def _check(files: Mapping[str, bytes]) -> None:
    if len(files) > MAX_FILES or not all(isinstance(data, bytes) for data in files.values()):
        raise Corrupt(f"a parcel has at most {MAX_FILES:,} files, of bytes")
    if (size := sum(map(len, files.values()))) > MAX_PARCEL:
        raise Corrupt(f"a parcel has {size:,} bytes, more than the {MAX_PARCEL:,} that are taken")


def _finish(store: Store, cell: Cell, images: str, files: Mapping[str, bytes]) -> None:
    with tempfile.TemporaryDirectory(dir=store.cells, prefix=f"{cell.key}.writing-") as folder:
        aside = Store(Path(folder))
        aside.folder(cell.key).mkdir(parents=True)
        for name, data in files.items():
            (aside.folder(cell.key) / name).write_bytes(data)
        if aside.verify(cell.key).images != images:
            raise Corrupt("it was computed from other images")
        with replacing(store.folder(cell.key)) as place:
            aside.folder(cell.key).rename(place)
    store.clear(cell.key)


def _fail(store: Store, cell: Cell, data: bytes) -> None:
    if len(data) > MAX_RECORD:
        raise Corrupt(f"a record has {len(data):,} bytes")
    with replacing(store.failure_file(cell.key)) as aside:
        aside.write_bytes(data)
        if record(aside, FailureRecord).key != cell.key:
            raise Corrupt("it is the failure of another cell")


def _write(path: Path, data: bytes) -> None:
    with replacing(path) as aside:
        aside.write_bytes(data)
