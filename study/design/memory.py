"""Memory: how many bytes this process, and those that it starts, can still take.

The least of what the computer has left without swapping, of what each control group around this process has left (those
of containers and of batch systems are such groups), and of the process's own limit (``ulimit -v``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

GROUPS = Path("/sys/fs/cgroup")
"""Folder in which Linux shows control groups, https://docs.kernel.org/admin-guide/cgroup-v2.html; absent elsewhere."""

MEMBERSHIP = Path("/proc/self/cgroup")
"""The control groups of this process: lines ``hierarchy:controllers:path``."""

_VERSIONS = {
    "": ("memory.max", "memory.current", "inactive_file"),
    "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}
"""Files with the limit and the use of a group, and what in ``memory.stat`` is taken back when it is needed, by the
controllers' name: version 2 has none, version 1 ``memory``."""


def available_memory() -> float:
    """Bytes that can still be taken; infinite where nothing tells."""
    limits = [float(psutil.virtual_memory().available), *_left_in_groups()]
    with suppress(ImportError):
        import resource  # noqa: PLC0415  (Unix alone has it)

        soft, _ = resource.getrlimit(resource.RLIMIT_AS)
        limits += [soft] if soft != resource.RLIM_INFINITY else []
    return max(0.0, min(limits, default=math.inf))


def _left_in_groups() -> Iterator[float]:
    """Bytes left in each control group around this process that has a limit."""
    for names, folder in _groups():
        limit, use, reclaimable = _VERSIONS[names]
        with suppress(OSError, ValueError, KeyError):
            allowed = int((folder / limit).read_text("ascii"))
            taken = int((folder / use).read_text("ascii"))
            stat = dict(line.split() for line in (folder / "memory.stat").read_text("ascii").splitlines())
            yield allowed - taken + int(stat[reclaimable])


def _groups() -> Iterator[tuple[str, Path]]:
    """Name of the controllers, and the folder, of every group around this process.

    In a container the path that the kernel tells may lie outside of what is shown there; the container's own group is
    then the root of what is shown.
    """
    with suppress(OSError):
        for line in MEMBERSHIP.read_text("utf-8").splitlines():
            _, names, path = line.split(":", 2)
            if names in _VERSIONS:
                root = GROUPS / names
                inner = root / path.strip("/")
                for folder in (inner, *inner.parents):
                    if folder.is_relative_to(root):
                        yield names, folder
