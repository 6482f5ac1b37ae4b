"""Index: where each finished cell stood when all its bytes were last verified, so that they need not be read again.

    <results>/<study>/index.json          a line with an authentication code, and a line with the entries

An entry counts as long as every file that it is of has the times of change, the size and the number that it had when it
was verified; what has changed, and what has no entry, is verified. Times within the last seconds tell nothing, since a
file may change twice within the resolution of a clock. The index holds nothing that the cells do not, and is made anew
where it is absent, damaged, or another's: it is authenticated (HMAC, RFC 2104) with a secret that this user's cache
keeps, so that an index that came with results from elsewhere is never believed. Damage that leaves no trace in a file's
times, as on a failing disk, is what `latent-study verify` finds.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from study.errors import EnvironmentFault
from study.files import replacing
from study.paths import cache_directory
from study.store.reading import Corrupt, content, reading
from study.store.standing import Standing
from study.store.store import MANIFEST, RESULT, WEIGHTS, Store

INDEX, SECRET = "index.json", "index.key"

MAX_INDEX = 2**28
"""Bytes of an index that are read: 256 MiB, of some 100,000 cells."""

SETTLED_NS = 3 * 10**9
"""Age of a file's last change, in nanoseconds, from which its times tell another change."""

Mark = tuple[int, int, int, int]
"""Times of the last change of content and of anything, in nanoseconds, size, and number of a file."""

Entry = tuple[tuple[Mark, ...], dict[str, Any]]
"""Marks of a cell's manifest, result and weights, these where it has any; and its configuration."""

_ENTRIES = TypeAdapter(dict[str, Entry])


def standings(store: Store, keys: Iterable[str]) -> dict[str, Standing]:
    """Where each cell stands, as :meth:`Store.standing` says; a finished cell is verified once and again when it has
    changed.

    store: the results.
    keys: of the cells.
    """
    before = _read(store)
    entries: dict[str, Entry] = {}
    found: dict[str, Standing] = {}
    for key in keys:
        marks = _marks(store.folder(key))
        known = before.get(key)
        if known and known[0] == marks:
            found[key] = Standing("done", known[1], exported=len(marks) == 2)
            entries[key] = known
            continue
        began = time.time_ns()
        found[key] = standing = store.standing(key)
        settled = all(began - max(mark[:2]) > SETTLED_NS for mark in marks)
        if standing.condition == "done" and settled and marks == _marks(store.folder(key)):
            entries[key] = marks, standing.config
    if entries != before:
        _write(store, entries)
    return found


def _marks(folder: Path) -> tuple[Mark, ...]:
    """Marks of the files of a finished cell, those behind links; none where the manifest or result is absent."""
    marks = []
    for name in (MANIFEST, RESULT, WEIGHTS):
        try:
            status = os.stat(folder / name)
        except OSError:
            if name != WEIGHTS:
                return ()
        else:
            marks.append((status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino))
    return tuple(marks)


def _read(store: Store) -> dict[str, Entry]:
    """The entries; none where the index is not as this user wrote it."""
    with suppress(Corrupt), reading(INDEX):
        code, _, entries = content(store.root / INDEX, MAX_INDEX).partition(b"\n")
        if (secret := _secret()) and hmac.compare_digest(code, _code(secret, store, entries)):
            return _ENTRIES.validate_json(entries)
    return {}


def _write(store: Store, entries: dict[str, Entry]) -> None:
    """Writes the index, where it can be written."""
    with suppress(OSError, EnvironmentFault):
        if secret := _secret():
            text = json.dumps(entries, separators=(",", ":")).encode()
            with replacing(store.root / INDEX) as aside:
                aside.write_bytes(_code(secret, store, text) + b"\n" + text)


def _code(secret: bytes, store: Store, entries: bytes) -> bytes:
    """Authentication code, in hexadecimal, of entries in this place."""
    message = os.fsencode(store.root.resolve()) + b"\0" + entries
    return hmac.new(secret, message, hashlib.sha256).hexdigest().encode()


def _secret() -> bytes:
    """Thirty-two bytes that this user's cache keeps, made where there are none; empty where none can be kept."""
    path = cache_directory() / SECRET
    with suppress(Corrupt):
        if len(secret := content(path)) == 32:
            return secret
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as aside:
            aside.write_bytes(secrets.token_bytes(32))
        path.chmod(0o600)
        return content(path)
    return b""
