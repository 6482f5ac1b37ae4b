"""Store: the results of a study on disk, one immutable directory per cell.

    <results>/<study>/cells/<key>/            result.nc, weights.safetensors, manifest.json
    <results>/<study>/cells/<key>.partial/    workspace of an unfinished cell: cell.json and its checkpoints
    <results>/<study>/cells/<key>.failed.json why a cell has no result
    <results>/<study>/cells/<key>.corrupt-1/  a cell that did not verify, kept for inspection
    <results>/<study>/cells/<key>.lock        held while a process computes the cell

A cell is written beside its place, flushed to disk, and renamed, so that it is either whole or absent.
"""

from __future__ import annotations

import json
import os
import shutil
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import filelock
from pydantic import ValidationError

from study.design.cell import Cell, key_of
from study.errors import EnvironmentFault, StudyError, TrainingFailed
from study.files import set_aside, sweep
from study.store.manifest import SCHEMA_VERSION, Manifest, sha256, versions
from study.store.reading import Corrupt

if TYPE_CHECKING:
    import xarray as xr

    from study.store.result import CellResult

Condition = Literal["done", "corrupt", "failed", "unfinished", "missing"]

RESULT, WEIGHTS, MANIFEST, CELL = "result.nc", "weights.safetensors", "manifest.json", "cell.json"


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
        """Where the finished cell lies."""
        return self.cells / key

    def workspace(self, key: str) -> Path:
        """Where the unfinished cell keeps its checkpoints."""
        return self.cells / f"{key}.partial"

    def known_keys(self) -> list[str]:
        """Keys of all cells that have left a trace here, sorted."""
        names = os.listdir(self.cells) if self.cells.is_dir() else []
        marks = {"", "partial", "failed.json"}
        return sorted({key for key, _, mark in (name.partition(".") for name in names) if mark in marks})

    def verify(self, key: str) -> Manifest:
        """The manifest of a stored cell, all of whose files are as they were written; raises :class:`Corrupt`."""
        folder = self.folder(key)
        try:
            manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
        except FileNotFoundError as error:
            raise Corrupt(f"{MANIFEST} is absent") from error
        except (OSError, ValidationError) as error:
            raise Corrupt(f"{MANIFEST} is not readable") from error
        if manifest.schema_version != SCHEMA_VERSION:
            raise Corrupt(f"schema version {manifest.schema_version}, where {SCHEMA_VERSION} is read")
        if not manifest.key == key == key_of(manifest.config):
            raise Corrupt("its configuration is another cell's")
        if set(manifest.files) != {RESULT, WEIGHTS}:
            raise Corrupt(f"{MANIFEST} does not list {RESULT} and {WEIGHTS}")
        for name, digest in manifest.files.items():
            if not (folder / name).is_file():
                raise Corrupt(f"{name} is absent")
            if sha256(folder / name) != digest:
                raise Corrupt(f"{name} has other bytes than were written")
        return manifest

    def condition(self, key: str) -> Condition:
        """Where the cell stands."""
        if self.folder(key).exists():
            try:
                self.verify(key)
            except Corrupt:
                return "corrupt"
            return "done"
        if self._failure(key).exists():
            return "failed"
        return "unfinished" if self.workspace(key).exists() else "missing"

    def failure(self, key: str) -> dict[str, Any]:
        """The record that :meth:`fail` left of a failed cell."""
        return _read(self._failure(key))

    def config(self, key: str) -> dict[str, Any]:
        """The configuration of a cell in any condition; empty where nothing readable tells it."""
        places = (self.folder(key) / MANIFEST, self._failure(key), self.workspace(key) / CELL)
        return next((record["config"] for record in map(_read, places) if "config" in record), {})

    @contextmanager
    def lock(self, key: str, *, wait: bool) -> Iterator[bool]:
        """Holds a cell against other processes; yields False where another has it.

        key: of the cell.
        wait: whether to wait for another in place of that.
        """
        with _writing(self.cells):
            self.cells.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(self.cells / f"{key}.lock", timeout=-1 if wait else 0)
        try:
            lock.acquire()
        except filelock.Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

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
        record = {"config": cell.config(), "images": images}
        with _writing(workspace):
            sweep(self.cells, key)
            if os.path.lexists(self.folder(key)):
                set_aside(self.folder(key))
            if os.path.lexists(workspace) and not _is_of(workspace, key, images):
                set_aside(workspace)
            workspace.mkdir(parents=True, exist_ok=True)
            sweep(workspace)
            _write(workspace / CELL, record)
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
        # Both take a while to import, and reading a status does without them.
        import numpy as np  # noqa: PLC0415
        from safetensors.numpy import save_file  # noqa: PLC0415

        key = cell.key
        aside = self.cells / f"{key}.writing"
        with _writing(aside):
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir()
            result.tree.to_netcdf(aside / RESULT, engine="netcdf4")
            save_file({name: np.ascontiguousarray(array) for name, array in result.weights.items()}, aside / WEIGHTS)
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
            )
            (aside / MANIFEST).write_text(manifest.model_dump_json(indent=2), "utf-8")
            for path in (*aside.iterdir(), aside):
                _flush(path)
            aside.rename(self.folder(key))
            _flush(self.cells)
            self._failure(key).unlink(missing_ok=True)
            shutil.rmtree(self.workspace(key), ignore_errors=True)

    def fail(self, cell: Cell, error: Exception, *, command: str) -> None:
        """Records why a cell has no result; the workspace stays for the next attempt.

        cell: the configuration.
        error: what was raised.
        command: what a user typed.
        """
        record = {
            "key": cell.key,
            "config": cell.config(),
            "step": error.step if isinstance(error, TrainingFailed) else None,
            "term": error.term if isinstance(error, TrainingFailed) else None,
            "message": str(error) if isinstance(error, StudyError) else f"{type(error).__name__}: {error}",
            "traceback": traceback.format_exception(error),
            "command": command,
        }
        with _writing(self._failure(cell.key)):
            _write(self._failure(cell.key), record)

    def read(self, key: str) -> xr.DataTree:
        """The result of one stored cell, in memory."""
        import xarray as xr  # noqa: PLC0415  (2 s, and only reading needs it)

        with xr.open_datatree(self.folder(key) / RESULT, engine="netcdf4") as tree:
            return tree.load()

    def manifests(self) -> dict[str, Manifest]:
        """Manifests of the cells that are whole, by key."""
        whole: dict[str, Manifest] = {}
        for key in self.known_keys():
            with suppress(Corrupt):
                whole[key] = self.verify(key)
        return whole

    def load(self) -> dict[str, xr.DataTree]:
        """Every whole cell, merged along ``latent_dim``: one tree per prior, and per other setting that varies."""
        from study.store.merge import merge  # noqa: PLC0415  (imports xarray)

        return merge({key: (manifest.config, self.read(key)) for key, manifest in self.manifests().items()})

    def _failure(self, key: str) -> Path:
        return self.cells / f"{key}.failed.json"


def _write(path: Path, record: dict[str, Any]) -> None:
    """A JSON file that is whole or absent."""
    aside = path.with_suffix(".writing")
    aside.write_text(json.dumps(record, indent=2), "utf-8")
    _flush(aside)
    aside.rename(path)


def _read(path: Path) -> dict[str, Any]:
    """What :func:`_write` wrote; empty where there is no such record."""
    try:
        record = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _flush(path: Path) -> None:
    """Forces a file's or folder's contents to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_of(workspace: Path, key: str, images: str) -> bool:
    """Whether an unfinished cell's folder was made for the cell ``key`` on ``images``."""
    record = _read(workspace / CELL)
    try:
        return bool(key_of(record["config"]) == key and record["images"] == images)
    except (KeyError, TypeError, AttributeError):
        return False


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EnvironmentFault(f"cannot write {path}: {error.strerror or error}") from error
