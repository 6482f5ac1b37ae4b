"""Store: the results of a study on disk, one immutable directory per cell.

    <results>/<study>/cells/<key>/            result.nc, weights.safetensors, manifest.json
    <results>/<study>/cells/<key>.partial/    workspace of an unfinished cell: cell.json and its checkpoints
    <results>/<study>/cells/<key>.failed.json why a cell has no result
    <results>/<study>/cells/<key>.corrupt-1/  a cell that did not verify, kept for inspection
    <results>/<study>/cells/<key>.lock        held while a process computes the cell; ``.lease`` on a network
    <results>/<study>/index.json              what was verified last, see :mod:`study.store.index`
    <results>/<study>/extracts/<key>          what answers read of a cell, see :mod:`study.store.extract`

A cell is written beside its place, flushed to disk, and renamed, so that it is either whole or absent.
"""

from __future__ import annotations

import os
import shutil
import stat
import threading
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from study.design.cell import Cell, key_of
from study.errors import EnvironmentFault, TrainingFailed, reason
from study.files import own_folder, replacing, set_aside, sweep
from study.store.hold import holding
from study.store.manifest import SCHEMA_VERSION, Manifest, check, sha256, versions
from study.store.reading import MAX_RESULT, MAX_WEIGHTS, Corrupt, cell_of, record, regular
from study.store.records import CellRecord, FailureRecord
from study.store.standing import Condition, Standing

if TYPE_CHECKING:
    import xarray as xr

    from study.store.result import CellResult

RESULT, WEIGHTS, MANIFEST, CELL = "result.nc", "weights.safetensors", "manifest.json", "cell.json"

LIMITS = {RESULT: MAX_RESULT, WEIGHTS: MAX_WEIGHTS}
"""Bytes of each file that a manifest lists, at most."""


@dataclass(frozen=True, slots=True)
class Store:
    """The results of one study.

    root: their folder, ``<results>/<study name>``.

    >>> import tempfile
    >>> cell = Cell.from_config({"latent_dim": 2})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = Store(Path(folder))
    ...     before = store.condition(cell.key)
    ...     workspace = store.begin(cell, images="checksum of the images")
    ...     print(before, store.condition(cell.key), store.load())
    missing unfinished {}
    """

    root: Path

    @property
    def cells(self) -> Path:
        """The folder that holds every cell."""
        return self.root / "cells"

    def folder(self, key: str) -> Path:
        """Folder of the finished cell."""
        return self.cells / key

    def workspace(self, key: str) -> Path:
        """Folder of the unfinished cell's checkpoints."""
        return self.cells / f"{key}.partial"

    def failure_file(self, key: str) -> Path:
        """Record of why the cell has no result."""
        return self.cells / f"{key}.failed.json"

    def known_keys(self) -> list[str]:
        """Keys of all cells that have left a trace here, sorted."""
        names = os.listdir(self.cells) if self.cells.is_dir() else []
        marks = {"", "partial", "failed.json"}
        parts = (name.partition(".") for name in names)
        # Other names, hidden or of bytes that are no text, are no cell's.
        return sorted({key for key, _, mark in parts if mark in marks and key and key.isascii()})

    def stored_keys(self) -> list[str]:
        """Keys of the cells that are finished, whole or not, sorted."""
        cells = str(self.cells)  # of ten thousand cells, joining paths takes longer than all else
        return [key for key in self.known_keys() if os.path.lexists(f"{cells}/{key}")]

    def manifest(self, key: str) -> Manifest:
        """The manifest of a stored cell, as it was written; raises :class:`Corrupt`."""
        manifest = record(self.folder(key) / MANIFEST, Manifest)
        check(manifest, key)
        if set(manifest.files) not in ({RESULT, WEIGHTS}, {RESULT}):
            raise Corrupt(f"{MANIFEST} does not list {RESULT}, with or without {WEIGHTS}")
        if not manifest.is_intact:
            raise Corrupt(f"{MANIFEST} has other content than was written")
        return manifest

    def verify(self, key: str) -> Manifest:
        """The manifest of a stored cell, all of whose files are as they were written; raises :class:`Corrupt`."""
        folder, manifest = self.folder(key), self.manifest(key)
        for name, digest in manifest.files.items():
            with regular(folder / name, LIMITS[name]) as file:
                if sha256(file) != digest:
                    raise Corrupt(f"{name} has other bytes than were written")
        return manifest

    def standing(self, key: str) -> Standing:
        """State of the cell, with the reason where it is interrupted, corrupt or failed."""
        try:
            if os.path.lexists(self.folder(key)):
                manifest = self.verify(key)
                reasons = manifest.interruption
                condition: Condition = "interrupted" if reasons else "done"
                return Standing(condition, manifest.config, reasons, exported=WEIGHTS not in manifest.files)
            if os.path.lexists(self.failure_file(key)):
                failure = record(self.failure_file(key), FailureRecord)
                again = f"the same command tries again: {failure.command}"
                return Standing("failed", self.config(key), (failure.message, again))
            if os.path.lexists(self.workspace(key) / CELL):
                record(self.workspace(key) / CELL, CellRecord)
        except Corrupt as error:
            return Standing("corrupt", self.config(key), (str(error),))
        return Standing("unfinished" if os.path.lexists(self.workspace(key)) else "missing", self.config(key))

    def condition(self, key: str) -> Condition:
        """State of the cell."""
        return self.standing(key).condition

    def failure(self, key: str) -> dict[str, Any]:
        """The record that :meth:`fail` left of a failed cell, see :class:`FailureRecord`; raises Corrupt."""
        return record(self.failure_file(key), FailureRecord).model_dump()

    def config(self, key: str) -> dict[str, Any]:
        """The configuration of a cell in any condition; empty where no file has one that is valid."""
        places: tuple[tuple[Path, type[Manifest | FailureRecord | CellRecord]], ...] = (
            (self.folder(key) / MANIFEST, Manifest),
            (self.failure_file(key), FailureRecord),
            (self.workspace(key) / CELL, CellRecord),
        )
        for path, schema in places:
            with suppress(Corrupt):
                config = record(path, schema).config
                cell_of(config)
                return config
        return {}

    @contextmanager
    def lock(self, key: str, *, wait: bool, lost: threading.Event | None = None) -> Iterator[bool]:
        """Holds a cell against other processes, see :mod:`study.store.hold`; yields False where another has it.

        key: of the cell.
        wait: whether to wait for another in place of that.
        lost: set once another process has taken the cell over, because this one did not run for a long time.
        """
        with _writing(self.cells):
            own_folder(self.cells)
        with ExitStack() as held:
            try:
                has = held.enter_context(holding(self.cells / key, wait=wait, lost=lost or threading.Event()))
            except OSError as error:
                place = error.filename or self.cells / f"{key}.lock"
                raise EnvironmentFault(f"cannot lock {place}: {error.strerror or error}; move it away") from error
            yield has

    def begin(self, cell: Cell, *, images: str) -> Path:
        """The workspace of a cell about to be computed.

        What lies there of an earlier attempt is kept, so that the cell resumes, unless it was of another configuration
        or of other images; a stored cell that does not verify moves out of the way. The caller holds the cell's lock.

        cell: the configuration.
        images: checksum of the images.

        Raises EnvironmentFault where the folder cannot be written.
        """
        key = cell.key
        workspace = self.workspace(key)
        with _writing(workspace):
            sweep(self.cells, key)
            if os.path.lexists(self.folder(key)):
                set_aside(self.folder(key))
            if os.path.lexists(workspace) and not _is_of(workspace, key, images):
                set_aside(workspace)
            with suppress(FileNotFoundError):
                if not stat.S_ISREG(os.lstat(self.failure_file(key)).st_mode):
                    set_aside(self.failure_file(key))
            own_folder(workspace)
            sweep(workspace)
            _write(workspace / CELL, CellRecord(config=cell.config(), images=images))
        return workspace

    def publish(
        self, cell: Cell, result: CellResult, *, images: str, device: str, seconds: float, command: str
    ) -> None:
        """Stores a finished cell, and clears its workspace and earlier failure.

        cell: the configuration.
        result: what it leaves.
        images: checksum of the images.
        device: where it was computed.
        seconds: wall time of the run that finished it.
        command: what a user typed.

        Raises EnvironmentFault where the folder cannot be written.
        """
        from study.store.result import write_result  # noqa: PLC0415  (imports xarray, without which a status is read)

        key, place = cell.key, self.folder(cell.key)
        with _writing(place):
            own_folder(self.cells)  # it may have been moved away, or exchanged for a link, meanwhile
            with replacing(place) as aside:
                aside.mkdir()
                write_result(result, aside / RESULT, aside / WEIGHTS)
                manifest = Manifest(
                    schema_version=SCHEMA_VERSION,
                    key=key,
                    config=cell.config(),
                    images=images,
                    files={name: sha256(aside / name) for name in (RESULT, WEIGHTS)},
                    device=device,
                    seconds=seconds,
                    command=command,
                    details=result.details,
                    versions=versions(),
                    created=datetime.now(UTC).isoformat(timespec="seconds"),
                ).sealed()
                (aside / MANIFEST).write_text(manifest.model_dump_json(indent=2), "utf-8")
        self.clear(key)

    def clear(self, key: str) -> None:
        """Removes what attempts at a stored cell have left, where that may be removed."""
        with suppress(OSError):
            sweep(self.cells, key)
            self.failure_file(key).unlink(missing_ok=True)
        shutil.rmtree(self.workspace(key), ignore_errors=True)

    def fail(self, cell: Cell, error: Exception, *, command: str) -> None:
        """Records why a cell has no result; the workspace stays for the next attempt.

        cell: the configuration.
        error: what was raised.
        command: what a user typed.
        """
        failure = FailureRecord(
            key=cell.key,
            config=cell.config(),
            step=error.step if isinstance(error, TrainingFailed) else None,
            term=error.term if isinstance(error, TrainingFailed) else None,
            message=reason(error),
            traceback=traceback.format_exception(error),
            command=command,
        )
        with _writing(self.failure_file(cell.key)):
            own_folder(self.cells)  # it may have been moved away, or exchanged for a link, meanwhile
            _write(self.failure_file(cell.key), failure)

    def read(self, key: str) -> xr.DataTree:
        """The result of one stored cell, in memory; raises :class:`Corrupt`."""
        from study.store.netcdf import tree  # noqa: PLC0415  (imports xarray, too)

        return tree(self.folder(key) / RESULT)

    def survey(self) -> tuple[dict[str, Manifest], dict[str, str]]:
        """Manifests of the cells that are whole, and reasons of those that are stored and not whole, by key."""
        whole: dict[str, Manifest] = {}
        corrupt: dict[str, str] = {}
        for key in self.stored_keys():
            try:
                whole[key] = self.verify(key)
            except Corrupt as error:
                corrupt[key] = str(error)
        return whole, corrupt

    def load(self) -> dict[str, xr.DataTree]:
        """Every whole cell, merged along ``latent_dim``: one tree per prior, and per other setting that varies.

        Arrays are read when they are asked for, see :mod:`study.store.lazy`; ``.load()`` of a tree takes them all into
        memory.
        """
        from study.store.lazy import lazy_trees  # noqa: PLC0415  (imports xarray, too)

        return lazy_trees(self, self.survey()[0])


def _write(path: Path, content: CellRecord | FailureRecord) -> None:
    """A JSON file that is whole or absent."""
    with replacing(path) as aside:
        aside.write_text(content.model_dump_json(indent=2), "utf-8")


def _is_of(workspace: Path, key: str, images: str) -> bool:
    """Whether an unfinished cell's folder was made for the cell ``key`` on ``images``; one without a record, as when it
    was deleted under a running cell, may have been: whose its checkpoints are, each of them tells."""
    if workspace.is_symlink() or not workspace.is_dir():
        return False
    try:
        found = record(workspace / CELL, CellRecord)
        return key_of(found.config) == key and found.images == images
    except (Corrupt, KeyError, TypeError, AttributeError):
        return not os.path.lexists(workspace / CELL)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EnvironmentFault(f"cannot write {path}: {error.strerror or error}") from error
