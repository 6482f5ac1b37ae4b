"""Mount: the file system of a folder, and whether its locks of open files (flock) hold between computers.

A lock of the system is only as good as the server behind it: on NFS it may be kept by each client for itself
(``nolock``, ``local_lock``) or hang on a daemon that is not there, Lustre keeps it by itself unless it is mounted with
``flock``, and most file systems of user space (FUSE) know nothing of it. Nothing tells the caller; the lock seems held.
What is not known to be local or coherent counts as one of these.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import final

MOUNTS = Path("/proc/self/mountinfo")
"""Where Linux lists the mounts that this process sees."""

_UNTRUSTED = {
    "9p",
    "afs",
    "beegfs",
    "cifs",
    "fuse",
    "nfs",
    "nfs4",
    "prl_fs",
    "smb3",
    "smbfs",
    "vboxsf",
    "virtiofs",
}
"""Types whose locks of open files need not hold between computers, or fail; with ``fuse.`` before them, all are."""


@final
@dataclass(frozen=True, slots=True)
class Mount:
    """A mounted file system.

    point: the folder where it is mounted.
    kind: its type, such as ``ext4`` or ``nfs4``.
    options: of the mount and of the file system.
    """

    point: str
    kind: str
    options: frozenset[str]

    @property
    def locks_hold(self) -> bool:
        """Whether a lock of an open file excludes every other process that sees the file, wherever it runs."""
        if self.kind == "lustre":
            return "flock" in self.options
        return self.kind not in _UNTRUSTED and not self.kind.startswith("fuse.")


def mount_of(folder: Path, mounts: Path = MOUNTS) -> Mount | None:
    """The mount that holds ``folder``, or None where the system does not tell.

    folder: it need not exist yet.
    mounts: the list, in the format of proc_pid_mountinfo(5).
    """
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return None
    place = folder.resolve()
    holding = None
    for mount in filter(None, map(_mount, lines)):
        # Of mounts at the same point the last covers those before it.
        if place.is_relative_to(mount.point) and (holding is None or len(mount.point) >= len(holding.point)):
            holding = mount
    return holding


def _mount(line: str) -> Mount | None:
    """One line: number, parent, device, root, point, options, optional fields, ``-``, type, source, more options."""
    before, dash, after = line.partition(" - ")
    fields, kinds = before.split(" "), after.split(" ")
    if not dash or len(fields) < 6 or len(kinds) < 3:
        return None
    options = frozenset(fields[5].split(",") + kinds[2].split(","))
    return Mount(re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), fields[4]), kinds[0], options)
