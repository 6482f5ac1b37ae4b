"""Mirror: a results folder here that stands for a study at a URL, so that whatever reads or computes results can.

    <cache>/objects/<digest of the URL>/<study>/      a results folder like any other
    …/<study>/published.json                          which of its cells are at the URL, and how they were listed

Cells at the URL are fetched once, verified, and again when the store lists other objects of them; those that have left
the URL leave the mirror. Cells that were computed here stay, and are published.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from filelock import FileLock
from pydantic import TypeAdapter

from study.errors import ConfigurationError, DataError, EnvironmentFault
from study.files import own_folder, printable, replacing, set_aside
from study.paths import safe_name, usable_cache
from study.store.export import LEFT_BEHIND
from study.store.index import standings
from study.store.manifest import Manifest
from study.store.objects.objects import Object, Objects
from study.store.objects.published import NAMES, Published, object_of
from study.store.reading import Corrupt, content, reading, record
from study.store.store import MANIFEST, RESULT, WEIGHTS, Store

log = logging.getLogger(__name__)

RECORD = "published.json"

MAX_MARKS = 2**26
"""Bytes of that record that are read: 64 MiB, of a million cells."""

CELLS = "cells"

_MARKS = TypeAdapter(dict[str, str])

Found = Mapping[str, Object]


class Seen(NamedTuple):
    """What a URL had when its mirror was brought up to date.

    left_out: the reason of what is not whole there, by its URL.
    with_weights: keys of cells whose weights are there.
    """

    left_out: Mapping[str, str]
    with_weights: frozenset[str]


@dataclass(frozen=True)
class Mirror:
    """A study at a URL and its copy here.

    url: ``<URL>/<study>``.
    store: the copy.
    published: the cells at the URL.
    """

    url: str
    store: Store
    published: Published

    def refresh(self, *, weights: bool = False) -> Seen:
        """Brings the copy to what is at the URL.

        weights: whether they come along; without them fetched cells are as an export has them.

        Raises a StudyError where the URL cannot be reached or the copy not written.
        """
        cells, strange = self.published.listing()
        left_out = {f"{self.url}/{CELLS}/{printable(name)}": "it is no object of a cell" for name in strange}
        with_weights = set()
        with self._locked():
            before, now = self._marks(), dict[str, str]()
            for key in before.keys() - cells.keys():
                shutil.rmtree(self.store.folder(key), ignore_errors=True)
            whole = {key for key, found in standings(self.store, cells).items() if found.is_stored}
            try:
                for key, found in cells.items():
                    try:
                        is_here = key in whole and self._is_of(key, found, before)
                        lacks = is_here and weights and self._weights_are_there_alone(key, found)
                        if (not is_here or lacks) and not self._fetch(key, found, is_here or key in before, weights):
                            continue
                    except Corrupt as error:
                        left_out[f"{self.url}/{CELLS}/{key}"] = str(error)
                        continue
                    now[key] = _mark(found)
                    if self._has_weights(key) or self._weights_are_there_alone(key, found):
                        with_weights.add(key)
            finally:
                self._record(now)
        return Seen(left_out, frozenset(with_weights))

    def publish(self, key: str) -> None:
        """Writes a cell of the copy to the URL, where one that is there already stays.

        key: of the cell.

        Raises DataError where the cell is not whole, or another result of it is there.
        """
        try:
            self.published.publish(self.store, key)
        except Corrupt as error:
            raise DataError(f"cannot publish {self.store.folder(key)} to {self.url}: {error}") from error
        with self._locked():
            self._record(self._marks() | {key: _mark(self.published.look(key))})

    def unpublished(self) -> list[str]:
        """Keys of the whole cells of the copy that are not at the URL."""
        marks = self._marks()
        keys = [key for key in self.store.stored_keys() if key not in marks]
        return [key for key, found in standings(self.store, keys).items() if found.is_stored]

    def verify(self) -> tuple[int, dict[str, str]]:
        """Number of cells at the URL of which every byte is as it was written, and the reason of each other, by URL."""
        cells, strange = self.published.listing()
        corrupt = {f"{self.url}/{CELLS}/{printable(name)}": "it is no object of a cell" for name in strange}
        for key, found in cells.items():
            try:
                self.published.verify(key, found)
            except Corrupt as error:
                corrupt[f"{self.url}/{CELLS}/{key}"] = str(error)
        return len(cells) + len(strange) - len(corrupt), corrupt

    def _is_of(self, key: str, found: Found, before: Mapping[str, str]) -> bool:
        """Whether the copy of a cell is of the objects that are listed now; raises Corrupt where these are no cell."""
        if key in before:
            return before[key] == _mark(found)
        return self.published.agrees(key, found, self.store)  # it was computed here, or a crash lost the record

    def _fetch(self, key: str, found: Found, is_copy: bool, weights: bool) -> bool:
        """Fetches a cell in the place of what is there, and gives False where another process computes it there; raises
        Corrupt, and leaves the place empty then.
        """
        place = self.store.folder(key)
        with self.store.lock(key, wait=False) as held:
            if not held:
                return False
            try:
                if is_copy:
                    shutil.rmtree(place, ignore_errors=True)
                elif os.path.lexists(place):
                    log.warning("%s has another result than %s, which counts", set_aside(place), self.url)
                with replacing(place) as aside:
                    aside.mkdir()
                    self.published.fetch(key, found, aside, weights=weights)
            except OSError as error:
                raise EnvironmentFault(
                    f"cannot write {place}: {error.strerror or error}; LATENT_STUDY_CACHE names another folder"
                ) from error
            self.store.clear(key)
        return True

    def _has_weights(self, key: str) -> bool:
        return os.path.lexists(self.store.folder(key) / WEIGHTS)

    def _weights_are_there_alone(self, key: str, found: Found) -> bool:
        """Whether the copy of a cell lacks weights that the store lists."""
        if self._has_weights(key):
            return False
        details = record(self.store.folder(key) / MANIFEST, Manifest).details
        return NAMES[WEIGHTS].format(str(details.get(LEFT_BEHIND))[:12]) in found

    def _locked(self) -> FileLock:
        try:
            own_folder(self.store.cells)
            return FileLock(self.store.root / f"{RECORD}.lock")
        except OSError as error:
            raise EnvironmentFault(
                f"cannot write {self.store.root}: {error.strerror or error}; LATENT_STUDY_CACHE names another folder"
            ) from error

    def _marks(self) -> dict[str, str]:
        """How each cell was listed when its copy was brought up to date; none where that is not known."""
        try:
            with reading(RECORD):
                return _MARKS.validate_json(content(self.store.root / RECORD, MAX_MARKS))
        except Corrupt:
            return {}

    def _record(self, marks: Mapping[str, str]) -> None:
        with replacing(self.store.root / RECORD) as aside:
            aside.write_bytes(_MARKS.dump_json(dict(marks)))


def mirror_at(url: str, study: str) -> Mirror:
    """The mirror of a study at ``url/study``, whether there is anything yet or not.

    url: of a results folder.
    study: its name.

    Raises a StudyError where the URL is none that can be used.
    """
    return _mirror(Objects.at(url), study)


def mirrors(url: str) -> list[Mirror]:
    """The mirrors of the studies at ``url``, which may also be that of one study.

    Raises a StudyError where the URL cannot be reached, or has none.
    """
    place = Objects.at(url)
    folders = place.folders()
    if CELLS in folders:
        return [_mirror(place.above(), place.name)]
    names = [name for name in folders if _is_safe(name) and CELLS in place.below(name).folders()]
    if not names:
        raise ConfigurationError(
            f"no results at {printable(place.url)}; name the URL that --results or --into was given"
        )
    return [_mirror(place, name) for name in names]


def archives(url: str) -> dict[str, str]:
    """URLs of the results at ``url`` as xarray opens them with the engine ``zarr``, by the keys of their cells.

    url: of a study.

    Raises a StudyError where the URL cannot be reached, or has no study. A cell that is not whole is left out.
    """
    found = {}
    for mirror in mirrors(url):
        for key, listed in mirror.published.listing().cells.items():
            with suppress(Corrupt):
                name = object_of(RESULT, mirror.published.manifest(key, listed))
                found[key] = f"zip::{mirror.url}/{CELLS}/{key}/{name}"
    return found


def _mirror(place: Objects, study: str) -> Mirror:
    folder = usable_cache() / "objects" / hashlib.sha256(place.url.encode()).hexdigest()[:16] / safe_name(study)
    at = place.below(study)
    return Mirror(at.url, Store(folder), Published(at.below(CELLS)))


def _is_safe(name: str) -> bool:
    try:
        safe_name(name)
    except ValueError:
        log.warning("left out: a folder whose name cannot be that of a study: %s", printable(name)[:80])
        return False
    return True


def _mark(found: Found) -> str:
    """What changes when an object of a cell does."""
    said = repr(sorted((name, each.mark) for name, each in found.items()))
    return hashlib.sha256(said.encode()).hexdigest()[:16]
