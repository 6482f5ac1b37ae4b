"""Hold: a cell is computed by one process at a time, of whichever computer that sees the folder.

Two kinds of lock, both of ``filelock`` and with one protocol:

- a **lock of an open file** (flock), which the system ends with the process that holds it;
- a **lease** where flock does not hold (:mod:`study.store.mount`): a file that is made exclusively and names its holder
  (computer, process, a token). The holder touches it every third of LEASE_SECONDS. Whoever waits takes it over once it
  has not changed for LEASE_SECONDS of that waiter's own monotonic clock, so that clocks that differ between computers
  end no living lease; a holder that died on the same computer is found by its process, and at once. Whoever
  was suspended for longer than that learns of it (``lost``) before it goes on (C. Gray and D. Cheriton, 1989).

The two do not see each other, and a folder that is a local disk here may be another computer's network file system. So
the first lease leaves the file SEVERAL_COMPUTERS beside the cells, for which every process takes leases from then on.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from study.store.mount import mount_of

LEASE_SECONDS = 60.0
"""How long a lease may stay untouched: above what NFS keeps of a file's times, and the pauses of a busy computer."""

SEVERAL_COMPUTERS = ".several-computers"
"""Name of the file that asks for leases wherever the folder is."""


def share(folder: Path) -> None:
    """Has every process take leases for what is in ``folder``, because several computers write there."""
    (folder / SEVERAL_COMPUTERS).touch()


def is_shared(folder: Path) -> bool:
    """Whether leases are taken in ``folder``: its file system, or somebody who wrote there, asks for them."""
    if os.path.lexists(folder / SEVERAL_COMPUTERS):
        return True
    mounted = mount_of(folder)
    return mounted is not None and not mounted.locks_hold


@contextmanager
def holding(place: Path, *, wait: bool, lost: threading.Event) -> Iterator[bool]:
    """Holds what ``place`` stands for while the block runs; yields False where another process has it.

    place: a path without its ending, which the kind of lock gives it.
    wait: whether to wait for another in place of that.
    lost: set once the hold has gone to another process, because this one did not run for a long time.

    Raises OSError where a lock can be neither made nor read.
    """
    lock = _lock(place, lost)
    # A first try ends the lease of a process that died on this computer, and a second gets it.
    for left in (1, 0):
        try:
            lock.acquire(timeout=-1 if wait else 0)
            break
        except filelock.Timeout:
            if not left:
                yield False
                return
    try:
        yield True
    finally:
        lock.release()


def _lock(place: Path, lost: threading.Event) -> filelock.BaseFileLock:
    if not is_shared(place.parent):
        return filelock.FileLock(f"{place}.lock")
    share(place.parent)
    return filelock.SoftFileLease(
        f"{place}.lease", lease_duration=LEASE_SECONDS, on_compromise=lambda _: lost.set(), poll_interval=0.2
    )
