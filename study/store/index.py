"""Index: where each finished cell stood when all its bytes were last verified, so that they need not be read again.

    <results>/<study>/index.json          a line with an authentication code, and a line with the entries

An entry counts as long as every file that it is of has the marks that it had when it was verified
(:mod:`study.store.marks`); what has changed, and what has no entry, is verified. The index holds nothing that the cells
do not, and is made anew where it is absent, damaged, or another's: it is authenticated
(:mod:`study.store.authentication`), so that an index that came with results from elsewhere is never believed.
"""

from __future__ import annotations

import hmac
import json
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from pydantic_core import from_json

from study.errors import EnvironmentFault
from study.files import replacing
from study.store.authentication import code, place, secret
from study.store.marks import Mark, marks, settled
from study.store.reading import Corrupt, content, reading
from study.store.standing import Standing
from study.store.store import Store

INDEX = "index.json"

MAX_INDEX = 2**28
"""Bytes of an index that are read: 256 MiB, of some 100,000 cells."""

Entry = tuple[tuple[Mark, ...], dict[str, Any]]
"""Marks of a cell's manifest, result and weights, these where it has any; and its configuration."""


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
        now = marks(store.folder(key))
        known = before.get(key)
        if known and known[0] == now:
            found[key] = Standing("done", known[1], exported=len(now) == 2)
            entries[key] = known
            continue
        began = time.time_ns()
        found[key] = standing = store.standing(key)
        if standing.condition == "done" and settled(now, began) and now == marks(store.folder(key)):
            entries[key] = now, standing.config
    # Those of cells that were not asked about stay, for as long as there are such cells.
    entries |= {key: entry for key, entry in before.items() if key not in found and os.path.lexists(store.folder(key))}
    if entries != before:
        _write(store, entries)
    return found


def _read(store: Store) -> dict[str, Entry]:
    """The entries; none where the index is not as this user wrote it."""
    with suppress(Corrupt), reading(INDEX):
        beside, _, entries = content(store.root / INDEX, MAX_INDEX).partition(b"\n")
        if (key := secret()) and hmac.compare_digest(beside, code(key, place(store.root), entries)):
            found = from_json(entries)  # what is authenticated needs no validation
            return {name: (tuple(map(tuple, marked)), config) for name, (marked, config) in found.items()}
    return {}


def _write(store: Store, entries: dict[str, Entry]) -> None:
    """Writes the index, where it can be written."""
    with suppress(OSError, EnvironmentFault):
        if key := secret():
            text = json.dumps(entries, separators=(",", ":")).encode()
            with replacing(store.root / INDEX) as aside:
                aside.write_bytes(code(key, place(store.root), text) + b"\n" + text)
