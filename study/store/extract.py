"""Extract: of each finished cell, what answers read of it, beside the cells, so that no result need be opened.

    <results>/<study>/extracts/<key>
        a line with an authentication code, and the length of the next
        a line of JSON                what the cell is, and where each part is, see :mod:`study.store.header`
        parts                         all estimates, see :mod:`study.store.panel`, and the groups of KEPT, each as a
                                      block, see :mod:`study.store.block`

An extract counts as long as the cell's files have the marks that they had when all their bytes were verified
(:mod:`study.store.marks`), this user wrote it, and in this place (:mod:`study.store.authentication`). It holds nothing
that the cell does not, and is made anew where it does not count. Pictures and single draws are in the result alone,
whose bytes are verified whenever it is opened; where an extract cannot be written, it is held in memory.
"""

from __future__ import annotations

import gc
import hashlib
import hmac
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import final

import xarray as xr

from analysis.layout import ROWS
from study.design.cell import seeds_of
from study.errors import DataError
from study.files import own_folder, replacing
from study.store import panel
from study.store.authentication import code, place, secret
from study.store.block import Block, encoded
from study.store.contents import Held, Sizes, Tables, Values, tables_of, values_of
from study.store.header import Header, Shared, Span
from study.store.manifest import Manifest, sha256
from study.store.marks import marks, settled
from study.store.netcdf import group_of
from study.store.reading import MAX_RESULT, Corrupt, opened, regular
from study.store.schema import check_result
from study.store.store import RESULT, Store

FOLDER = "extracts"

VERSION = 3
"""Of what an extract holds and of the checks that its cell has passed; extracts of another are made anew."""

KEPT = (*ROWS, "importance_bounds", "codes", "spectrum", "subsampling", "padding", "decoded", "displacements")
"""Groups of an extract: estimates, and the records of which comparisons and verdicts are made."""

PANEL = "/"
"""Name of the part that has all estimates; no group can have it."""

FIRST_READ = 2**13
"""Bytes that are read first: of most cells, all lines before the parts."""

MAX_HEADER = 2**20
"""Bytes of the lines before the parts: 1 MiB; of a cell they are some kilobytes."""


@final
@dataclass(frozen=True, eq=False)
class Extract:
    """A finished cell, of which groups are read when they are asked for.

    store: that holds it.
    manifest: its record.
    sizes: lengths of the dimensions of every group.
    spans: of each part, by name.
    path: of the file.
    begin: of the first part in the file.
    parts: all of them, where they are not in the file.
    """

    store: Store
    manifest: Manifest
    sizes: Sizes
    spans: Mapping[str, Span]
    path: Path
    begin: int
    parts: bytes | None = field(default=None, repr=False)

    def group(self, name: str) -> xr.Dataset:
        """The group of this name; raises KeyError where the result has none.

        name: of the group.

        Raises DataError where the result is no longer as it was verified.
        """
        if name not in self.sizes:
            raise KeyError(name)
        if (block := self._block(name)) is not None:
            return block.dataset()
        return self._of_result(name)

    def variables(self, group: str) -> list[str]:
        """Names of the variables of a ``group`` that label no others; raises KeyError where there is no such group."""
        if (block := self._block(group)) is not None:
            return block.variables()
        return list(map(str, self.group(group).data_vars))

    def values(self, group: str, *variables: str) -> list[Values]:
        """Each of the ``variables`` of a ``group``; raises KeyError where one of them is not there, and DataError as
        :meth:`group` does.
        """
        if (block := self._block(group)) is not None:
            return [block.values(name) for name in variables]
        return values_of(self.group(group), variables)

    def tables(self) -> Tables:
        """Every group of estimates, as arrays that nobody writes to."""
        tables = self._decoded(PANEL, lambda *place: panel.decoded(_part(*place)), panel.decoded)
        return tables_of(self) if tables is None else tables

    def _block(self, name: str) -> Block | None:
        """The block of a group; None where there is none, or it is not as it was written."""
        return self._decoded(name, _block, Block)

    def _decoded[Read](
        self, name: str, at: Callable[[Path, int, Span], Read], of: Callable[[bytes], Read]
    ) -> Read | None:
        """What a part says, which is read ``at`` its place or is made ``of`` its bytes where these are held; None where
        there is none, or it is not as it was written."""
        if (span := self.spans.get(name)) is None:
            return None
        if self.parts is not None:
            return of(self.parts[span.start : span.start + span.size])
        try:
            return at(self.path, self.begin + span.start, span)
        except Corrupt:
            with suppress(OSError):
                self.path.unlink()  # it is made anew when the cell is read next
            return None

    def _of_result(self, name: str) -> xr.Dataset:
        """A group of the result, all of whose bytes are those that were verified."""
        folder = self.store.folder(self.manifest.key)
        try:
            with regular(folder / RESULT, MAX_RESULT) as path:
                if sha256(path) != self.manifest.files[RESULT]:
                    raise Corrupt(f"{RESULT} has other bytes than were written")
                return group_of(path, name)
        except Corrupt as error:
            raise DataError(f"{folder} has changed while it was read: {error}; type the same command again") from error


def extracts(store: Store) -> dict[str, Extract | str]:
    """Every stored cell by key: its extract or, where it is not whole, the reason.

    store: the results.
    """
    user, root, shared = secret(), place(store.root), Shared()
    with collection_put_off():
        known = {key: _read(store, key, user, root, shared) for key in store.stored_keys()}
    return {key: extract or _made_or_why(store, key, user, root, shared) for key, extract in known.items()}


@contextmanager
def collection_put_off() -> Iterator[None]:
    """Puts off the search for cycles: while many objects are made that have none, it takes as long as making them."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _path(store: Store, key: str) -> Path:
    return store.root / FOLDER / key


def _read(store: Store, key: str, user: bytes, root: bytes, shared: Shared) -> Extract | None:
    """The extract of a cell; None where there is none that counts."""
    now = marks(store.folder(key))
    if not now or not user:
        return None
    path = _path(store, key)
    with suppress(Corrupt), opened(path, MAX_RESULT) as descriptor:
        begun = os.pread(descriptor, FIRST_READ, 0)
        beside, _, length = begun.partition(b"\n")[0].partition(b" ")
        if not length.isdigit():
            return None
        start = len(beside) + len(length) + 2
        begin = start + min(int(length), MAX_HEADER)
        line = (begun if begin <= len(begun) else os.pread(descriptor, begin, 0))[start:begin]
        if hmac.compare_digest(beside, code(user, root, key.encode(), line)):
            header = Header.of(line, shared)
            ends = begin + max((span.start + span.size for span in header.spans.values()), default=0)
            if header.version == VERSION and header.marks == now and ends == os.fstat(descriptor).st_size:
                return Extract(store, header.manifest, header.sizes, header.spans, path, begin)
    return None


@lru_cache(maxsize=64)
def _block(path: Path, start: int, span: Span) -> Block:
    """The block at ``start`` of the extract at ``path``; raises Corrupt. Variables of a group are mostly read one after
    another."""
    return Block(_part(path, start, span))


def _part(path: Path, start: int, span: Span) -> bytes:
    """The part at ``start`` of the extract at ``path``; raises Corrupt."""
    with opened(path, MAX_RESULT) as descriptor:
        part = os.pread(descriptor, span.size, start)
    if hashlib.sha256(part).hexdigest() != span.digest:
        raise Corrupt("it has other bytes than were written")
    return part


def _made_or_why(store: Store, key: str, user: bytes, root: bytes, shared: Shared) -> Extract | str:
    """A new extract of a cell or, where it is not whole, the reason."""
    try:
        return _make(store, key, user, root, shared)
    except Corrupt as error:
        return str(error)


def _make(store: Store, key: str, user: bytes, root: bytes, shared: Shared) -> Extract:
    """The extract of a cell all of whose bytes are verified, and written where it can be; raises Corrupt."""
    before, began = marks(store.folder(key)), time.time_ns()
    manifest = store.verify(key)
    tree = store.read(key)
    check_result(tree, len(seeds_of(manifest.config)))
    sizes = {name: {str(dim): size for dim, size in node.sizes.items()} for name, node in tree.children.items()}
    groups = {name: tree[name].to_dataset() for name in KEPT if name in sizes}
    parts = {PANEL: panel.encoded(tables_of(Held(tree)))}
    parts |= {name: block for name, group in groups.items() if (block := encoded(group)) is not None}
    spans, start = {}, 0
    for name, part in parts.items():
        spans[name] = Span(start, len(part), hashlib.sha256(part).hexdigest())
        start += len(part)
    extract = Extract(store, manifest, sizes, spans, _path(store, key), 0, b"".join(parts.values()))
    if user and settled(before, began) and before == marks(store.folder(key)):
        line = Header(VERSION, before, manifest, sizes, spans).line()
        first = code(user, root, key.encode(), line) + f" {len(line)}\n".encode()
        with suppress(OSError), replacing(own_folder(store.root / FOLDER) / key) as aside:
            aside.write_bytes(first + line + b"".join(parts.values()))
    return _read(store, key, user, root, shared) or extract
