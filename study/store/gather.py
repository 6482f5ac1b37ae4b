"""Gather: the finished cells of several results of one study, as of the parts of an array job, in one folder.

Nothing is computed. Every cell is verified where it lies and where it was copied to, weights included. A cell that
several sources have must have the same result in all of them, and in the folder that it is gathered into; an export
has the same result when it holds the same numbers, as far as it has them. What is in the folder already stays.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from study.errors import DataError, EnvironmentFault
from study.files import own_folder, replacing, set_aside
from study.store.manifest import Manifest, sha256
from study.store.reading import Corrupt, regular
from study.store.result import agree
from study.store.standing import Standing
from study.store.store import LIMITS, MANIFEST, WEIGHTS, Store

OF_WRITING = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
"""Errors of a copy that the place is to blame for, to which it is written."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What a study's folder has after its cells were gathered.

    copied: keys of the cells that were written.
    present: keys of those that were there before.
    missing: where each cell stands of which some source has a trace and none, nor the folder, a whole result, by key.
    """

    copied: tuple[str, ...]
    present: tuple[str, ...]
    missing: Mapping[str, Standing]


@dataclass(frozen=True, slots=True)
class _Copy:
    """A whole cell in one of the folders."""

    store: Store
    manifest: Manifest


def gather(sources: Sequence[Store], target: Store) -> Gathered:
    """Copies every whole cell of ``sources`` that ``target`` lacks.

    sources: results of one study; ``target`` may be among them.
    target: where cells are written; what is not whole there moves out of the way.

    Raises:
        DataError: if two of the folders have different results of a cell; nothing is written then.
        EnvironmentFault: if the folder cannot be written.
    """
    copies: dict[str, list[_Copy]] = defaultdict(list)
    traces: dict[str, Store] = {}
    for store in dict.fromkeys((target, *sources)):
        whole, _ = store.survey()
        for key in store.known_keys():
            traces.setdefault(key, store)
        for key, manifest in whole.items():
            copies[key].append(_Copy(store, manifest))
    _check_agreement(copies)
    present = tuple(key for key, found in copies.items() if found[0].store == target)
    copied = []
    missing = {key: store.standing(key) for key, store in traces.items() if key not in copies}
    for key in copies.keys() - set(present):
        best, *others = copies[key]
        if others:
            best = max(copies[key], key=lambda copy: _extent(key, copy))  # the first of those that have the most
        with target.lock(key, wait=False) as held:
            if not held:
                missing[key] = Standing("unfinished", best.manifest.config, ("another process holds it here",))
                continue
            if _came_meanwhile(key, copies[key][0], target):
                present += (key,)
                continue
            try:
                _write(best, key, target)
            except Corrupt as error:
                missing[key] = Standing("corrupt", best.manifest.config, (str(error),))
            else:
                copied.append(key)
    return Gathered(tuple(sorted(copied)), present, missing)


def _came_meanwhile(key: str, copy: _Copy, target: Store) -> bool:
    """Whether another process has put the same whole cell into ``target`` since that was looked through."""
    try:
        return _agree(key, copy, _Copy(target, target.verify(key)))
    except Corrupt:
        return False


def _check_agreement(copies: Mapping[str, Sequence[_Copy]]) -> None:
    conflicts = {
        key: (first.store.folder(key), second.store.folder(key))
        for key, found in copies.items()
        for first, second in pairwise(found)
        if not _agree(key, first, second)
    }
    if conflicts:
        first, second = next(iter(conflicts.values()))
        more = f", and so of {len(conflicts) - 1} more" if len(conflicts) > 1 else ""
        raise DataError(
            f"{first} and {second} hold different results of one cell{more}; move one of them away, or gather them "
            "into two folders"
        )


def _extent(key: str, copy: _Copy) -> tuple[bool, int]:
    """Whether a copy has weights, and the number of groups of its result; an export has fewer, or the same."""
    try:
        return WEIGHTS in copy.manifest.files, len(copy.store.read(key).children)
    except Corrupt:
        return False, 0


def _agree(key: str, first: _Copy, second: _Copy) -> bool:
    """Whether two copies of a cell hold the same result, of the same images and, where both have any, weights."""
    if first.manifest.images != second.manifest.images:
        return False
    digests, others = first.manifest.files, second.manifest.files
    if any(digests[name] != others[name] for name in digests.keys() & others.keys() if name == WEIGHTS):
        return False
    if digests == others:
        return True
    try:
        return agree(first.store.read(key), second.store.read(key))
    except Corrupt:
        return False


def _write(copy: _Copy, key: str, target: Store) -> None:
    """Writes a cell; raises Corrupt where its files are no longer those that were verified."""
    place = target.folder(key)
    try:
        own_folder(target.cells)
        if os.path.lexists(place):
            set_aside(place)
        with replacing(place) as aside:
            aside.mkdir()
            for name, digest in copy.manifest.files.items():
                with regular(copy.store.folder(key) / name, LIMITS[name]) as opened:
                    _copied(opened, aside / name, place)
                if sha256(aside / name) != digest:
                    raise Corrupt(f"{name} has other bytes than were written")
            (aside / MANIFEST).write_text(copy.manifest.model_dump_json(indent=2), "utf-8")
    except OSError as error:
        raise EnvironmentFault(f"cannot write {place}: {error.strerror or error}; choose another folder") from error
    target.clear(key)


def _copied(source: Path, written: Path, place: Path) -> None:
    """Copies a file; what cannot be written there is the disk's fault, and not that of the cell at ``source``."""
    try:
        shutil.copyfile(source, written)
    except OSError as error:
        if error.errno not in OF_WRITING:
            raise
        raise EnvironmentFault(f"cannot write {place}: {error.strerror or error}; choose another folder") from error
