"""Marks: by what a file system tells whether the files of a finished cell are those that were verified.

Files that have the times of change, the size and the number that they had have not been written since. Times within the
last seconds tell nothing, since a file may change twice within the resolution of a clock. Damage that leaves no trace
in a file's times, as on a failing disk, is what `latent-study verify` finds.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from study.store.store import MANIFEST, RESULT, WEIGHTS

SETTLED_NS = 3 * 10**9
"""Age of a file's last change, in nanoseconds, from which its times tell another change."""

Mark = tuple[int, int, int, int]
"""Times of the last change of content and of anything, in nanoseconds, size, and number of a file."""


def marks(folder: Path) -> tuple[Mark, ...]:
    """Marks of the manifest, the result and, where there are any, the weights of a finished cell, those behind links;
    none where the manifest or result is absent.

    folder: of the cell.
    """
    found = []
    for name in (MANIFEST, RESULT, WEIGHTS):
        try:
            status = os.stat(f"{folder}/{name}")  # of ten thousand cells, joining paths takes longer than this
        except OSError:
            if name != WEIGHTS:
                return ()
        else:
            found.append((status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino))
    return tuple(found)


def settled(before: Sequence[Mark], at: int) -> bool:
    """Whether the last changes lie so far back that a later one would show.

    before: marks of the files of a cell.
    at: the present time, in nanoseconds since 1970.
    """
    return all(at - max(mark[:2]) > SETTLED_NS for mark in before)
