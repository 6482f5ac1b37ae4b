"""Published: the cells of one study on an object store, each written once and verified whenever it is read."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import xarray as xr

from study.errors import DataError
from study.files import printable
from study.store.export import LEFT_BEHIND
from study.store.manifest import SCHEMA_VERSION, Manifest, check, sha256
from study.store.netcdf import tree
from study.store.objects.archive import read_archive, same, write_archive
from study.store.objects.objects import Object, Objects
from study.store.reading import MAX_RECORD, MAX_WEIGHTS, Corrupt, reading, regular
from study.store.store import LIMITS, MANIFEST, RESULT, WEIGHTS, Store

RESULT_BEFORE = "netcdf_sha256"
"""Among a published manifest's details, the SHA-256 of the netCDF file that the result was in."""

NAMES = {RESULT: "result-{}.zarr.zip", WEIGHTS: "weights-{}.safetensors"}
"""Names of the objects that hold the files of a cell, with the beginning of the SHA-256 of what they hold."""

_OBJECT = re.compile(r"([0-9a-f]{12})/([a-z][a-z0-9.-]{0,99})")
"""A name beneath ``cells``: a cell's key, and one step that leads nowhere else."""


_DIGEST = re.compile("[0-9a-f]{64}")


class Listing(NamedTuple):
    """What lies beneath the URL of a study's cells.

    cells: the objects of each cell that has a manifest, by key and then by name.
    strange: names that are no object's of a cell.
    """

    cells: Mapping[str, Mapping[str, Object]]
    strange: tuple[str, ...]


@dataclass(frozen=True)
class Published:
    """The cells of a study on an object store.

    objects: those beneath ``<URL>/<study>/cells``.
    """

    objects: Objects

    def listing(self) -> Listing:
        """Every cell, as the store lists it; one without a manifest is not there yet and left out."""
        cells: dict[str, dict[str, Object]] = {}
        strange = []
        for name, found in self.objects.listing().items():
            if parts := _OBJECT.fullmatch(name):
                cells.setdefault(parts[1], {})[parts[2]] = found
            else:
                strange.append(name)
        return Listing({key: names for key, names in sorted(cells.items()) if MANIFEST in names}, tuple(strange))

    def look(self, key: str) -> Mapping[str, Object]:
        """The objects of the cell ``key``, as :meth:`listing` has them; none where it has no manifest."""
        listed = self.objects.below(key).listing()
        named = {name: found for name, found in listed.items() if _OBJECT.fullmatch(f"{key}/{name}")}
        return named if MANIFEST in named else {}

    def manifest(self, key: str, found: Mapping[str, Object]) -> Manifest:
        """The record of a cell; raises Corrupt where it is none, or another cell's.

        key: of the cell.
        found: its objects, as listed.
        """
        data = b"".join(self.objects.blocks(f"{key}/{MANIFEST}", found[MANIFEST].size, MAX_RECORD))
        with reading(MANIFEST):
            manifest = Manifest.model_validate_json(data)
        check(manifest, key)
        kinds = [kind for name, digest in manifest.files.items() for kind in NAMES if name == _name(kind, digest)]
        digests = all(map(_DIGEST.fullmatch, manifest.files.values()))
        if len(kinds) != len(manifest.files) or not digests or set(kinds) not in ({RESULT}, {RESULT, WEIGHTS}):
            raise Corrupt(f"{MANIFEST} does not list a result, with or without weights")
        if not manifest.is_intact:
            raise Corrupt(f"{MANIFEST} has other content than was written")
        return manifest

    def fetch(self, key: str, found: Mapping[str, Object], folder: Path, *, weights: bool) -> None:
        """Writes a verified cell into the empty ``folder``, as a store keeps it; raises Corrupt.

        key: of the cell.
        found: its objects, as listed.
        folder: where its files go.
        weights: whether they come along; without them the cell is as an export has it.
        """
        manifest = self.manifest(key, found)
        result = self._result(key, manifest, found, folder)
        with reading("its result"):
            result.to_netcdf(folder / RESULT, engine="netcdf4")
        files = {RESULT: sha256(folder / RESULT)}
        if files[RESULT] != manifest.details.get(RESULT_BEFORE) and not same(tree(folder / RESULT), result):
            raise Corrupt("its result is not the same when it is written as netCDF")
        details = {name: value for name, value in manifest.details.items() if name != RESULT_BEFORE}
        if digest := digest_of(WEIGHTS, manifest):
            if weights:
                self._download(key, _name(WEIGHTS, digest), found, digest, folder / WEIGHTS)
                files[WEIGHTS] = digest
            else:
                details[LEFT_BEHIND] = digest
        local = manifest.model_copy(update={"files": files, "details": details}).sealed()
        (folder / MANIFEST).write_text(local.model_dump_json(indent=2), "utf-8")

    def verify(self, key: str, found: Mapping[str, Object]) -> Manifest:
        """The record of a cell, every byte of which is as it was written; raises Corrupt.

        key: of the cell.
        found: its objects, as listed.
        """
        manifest = self.manifest(key, found)
        for name, digest in manifest.files.items():
            self._download(key, name, found, digest, None)
        return manifest

    def publish(self, store: Store, key: str) -> None:
        """Writes a stored cell to the object store, where a cell that is there already stays.

        store: that has the cell.
        key: of the cell.

        Raises Corrupt where the cell is not whole here or there, and DataError where another result of it is there.
        """
        manifest = store.verify(key)
        if not (found := self.look(key)):
            with tempfile.TemporaryDirectory(dir=store.cells, prefix=f"{key}.writing-") as temporary:
                archive = Path(temporary) / RESULT
                write_archive(store.read(key), archive)
                files = {_name(RESULT, digest := sha256(archive)): digest}
                self.objects.upload(archive, f"{key}/{_name(RESULT, digest)}")
            if digest := manifest.files.get(WEIGHTS, ""):
                with regular(store.folder(key) / WEIGHTS, MAX_WEIGHTS) as opened:
                    self.objects.upload(opened, f"{key}/{_name(WEIGHTS, digest)}")
                files[_name(WEIGHTS, digest)] = digest
            details = manifest.details | {RESULT_BEFORE: manifest.files[RESULT]}
            sealed = manifest.model_copy(
                update={"schema_version": SCHEMA_VERSION, "files": files, "details": details}
            ).sealed()
            if self.objects.create(f"{key}/{MANIFEST}", sealed.model_dump_json(indent=2).encode()):
                return
            found = self.look(key)
        if not self.agrees(key, found, store):
            raise DataError(
                f"{printable(self.objects.url)}/{key} and {store.folder(key)} hold different results of one cell; "
                "remove one of them, or publish to another URL"
            )

    def agrees(self, key: str, found: Mapping[str, Object], store: Store) -> bool:
        """Whether ``store`` has the result of a published cell, of the same images and, so far as both are known,
        weights.

        key: of the cell.
        found: its objects, as listed.
        store: that has the cell.

        Raises Corrupt where one of the two is not whole.
        """
        there, here = self.manifest(key, found), store.verify(key)
        of_weights = (digest_of(WEIGHTS, there), here.files.get(WEIGHTS))
        weights = {
            digest or each.details.get(LEFT_BEHIND) for digest, each in zip(of_weights, (there, here), strict=True)
        }
        if there.images != here.images or len(weights - {None}) > 1:
            return False
        if there.details.get(RESULT_BEFORE) == here.files[RESULT]:
            return True
        return same(self._result(key, there, found, store.cells), store.read(key))

    def _result(self, key: str, manifest: Manifest, found: Mapping[str, Object], beside: Path) -> xr.DataTree:
        digest = digest_of(RESULT, manifest)
        with tempfile.TemporaryDirectory(dir=beside.parent, prefix=f"{beside.name}.writing-") as temporary:
            archive = Path(temporary) / _name(RESULT, digest)
            self._download(key, archive.name, found, digest, archive)
            return read_archive(archive)

    def _download(self, key: str, name: str, found: Mapping[str, Object], digest: str, path: Path | None) -> None:
        """Writes an object to ``path``, or nowhere, and raises Corrupt where it has other bytes than were written."""
        if name not in found:
            raise Corrupt(f"{name} is absent")
        limit = next(LIMITS[kind] for kind in NAMES if name == _name(kind, digest))
        hashed = hashlib.sha256()
        with path.open("wb") if path else nullcontext() as file:
            for block in self.objects.blocks(f"{key}/{name}", found[name].size, limit):
                hashed.update(block)
                if file:
                    file.write(block)
        if hashed.hexdigest() != digest:
            raise Corrupt(f"{name} has other bytes than were written")


def digest_of(kind: str, manifest: Manifest) -> str:
    """SHA-256 of what a published cell has of a kind of file; empty where it has none.

    kind: RESULT or WEIGHTS.
    manifest: of the cell.
    """
    return next((digest for name, digest in manifest.files.items() if name == _name(kind, digest)), "")


def object_of(kind: str, manifest: Manifest) -> str:
    """Name of the object that holds a kind of file of a published cell, which has one.

    kind: RESULT or WEIGHTS.
    manifest: of the cell.
    """
    return _name(kind, digest_of(kind, manifest))


def _name(kind: str, digest: str) -> str:
    return NAMES[kind].format(digest[:12])
