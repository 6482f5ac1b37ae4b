"""Faults: what is done to a run at a place, a moment of its course or a byte of its files.

Each fault is a function of the run, of its results folder and of a random generator. It is called at the moment of its
place; what it returns, if anything, is called when the run has ended.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from tests.faults.runs import Run

Damage = Callable[[], None]
Fault = Callable[[Run, Path, random.Random], Damage | None]

DISK_BYTES = 8 << 20
"""Size of the disk that is filled; a whole study of the campaign takes less than half of it."""


def _shoot(target: str, *signals: signal.Signals) -> Fault:
    def fault(run: Run, results: Path, rng: random.Random) -> None:
        if run.poll() is not None:
            return  # its number may be another process's by now
        pids = {"parent": [run.pid], "worker": run.workers(), "server": run.servers(), "group": [-run.pid]}[target]
        if not pids:
            return
        pid = rng.choice(pids)
        for number, signum in enumerate(signals):
            if number:
                time.sleep(rng.choice([0.0, 0.02, 0.2]))
            if run.poll() is not None:
                return
            with suppress(ProcessLookupError):
                os.killpg(-pid, signum) if pid < 0 else os.kill(pid, signum)

    return fault


def _limit_files(run: Run, results: Path, rng: random.Random) -> None:
    """No process can write past a number of bytes of a file any more."""
    limit = rng.randrange(20_000)
    for pid in run.processes():
        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, limit))


def _fill_the_disk(run: Run, results: Path, rng: random.Random) -> Damage:
    filler = results / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass
    return partial(filler.unlink, missing_ok=True)


def _files(results: Path) -> list[Path]:
    return sorted(
        path for path in results.rglob("*") if path.is_file() and path.suffix != ".lock" and path.stat().st_size
    )


def _after_a_kill(damage: Callable[[Path, random.Random], None]) -> Fault:
    """Kills the parent, and damages its files once all is quiet."""

    def fault(run: Run, results: Path, rng: random.Random) -> Damage:
        if run.poll() is None:
            os.kill(run.pid, signal.SIGKILL)
        return partial(damage, results, rng)

    return fault


def _flip(suffixes: tuple[str, ...], results: Path, rng: random.Random) -> None:
    """One bit of one file."""
    files = [path for path in _files(results) if path.name.startswith(suffixes)]
    if files:
        path = rng.choice(files)
        data = bytearray(path.read_bytes())
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(data)


def _cut(results: Path, rng: random.Random) -> None:
    """The end of one file is gone."""
    if files := _files(results):
        path = rng.choice(files)
        os.truncate(path, rng.randrange(path.stat().st_size))


def _swap(results: Path, rng: random.Random) -> None:
    """Two folders of different cells change places, or one takes the place of a missing one."""
    folders = [path for path in sorted(results.glob("*/cells/*")) if path.is_dir()]
    if not folders:
        return
    first, second = rng.choice(folders), rng.choice(folders)
    if first != second:
        aside = first.with_name("swapping")
        first.rename(aside)
        second.rename(first)
        aside.rename(second)
    else:
        keys = {path.name.partition(".")[0] for path in first.parent.glob("*.lock")} - {first.name.partition(".")[0]}
        if keys:
            target = first.with_name(rng.choice(sorted(keys)) + "".join(first.suffixes))
            if not target.exists():
                shutil.copytree(first, target)


def _swap_files(results: Path, rng: random.Random) -> None:
    """Two files of one name and of different cells change places."""
    by_name: dict[str, list[Path]] = {}
    for path in _files(results):
        by_name.setdefault(path.name, []).append(path)
    pairs = [paths for paths in by_name.values() if len(paths) > 1]
    if pairs:
        first, second = rng.sample(rng.choice(pairs), 2)
        contents = first.read_bytes()
        first.write_bytes(second.read_bytes())
        second.write_bytes(contents)


INT, TERM, HUP, KILL = signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL

FAULTS: dict[str, Fault] = {
    "parent KILL": _shoot("parent", KILL),
    "parent TERM": _shoot("parent", TERM),
    "parent HUP": _shoot("parent", HUP),
    "parent INT": _shoot("parent", INT),
    "parent INT twice": _shoot("parent", INT, INT),
    "worker KILL": _shoot("worker", KILL),
    "worker TERM": _shoot("worker", TERM),
    "worker HUP": _shoot("worker", HUP),
    "fork server KILL": _shoot("server", KILL),
    "group KILL": _shoot("group", KILL),
    "group TERM": _shoot("group", TERM),
    "group HUP": _shoot("group", HUP),
    "group INT": _shoot("group", INT),
    "group INT twice": _shoot("group", INT, INT),
    "file size limit": _limit_files,
    "full disk": _fill_the_disk,
    "bit of a checkpoint": _after_a_kill(partial(_flip, ("checkpoint",))),
    "bit of a result": _after_a_kill(partial(_flip, ("result", "weights"))),
    "bit of a record": _after_a_kill(partial(_flip, ("manifest", "cell"))),
    "file cut": _after_a_kill(_cut),
    "folders swapped": _after_a_kill(_swap),
    "files swapped": _after_a_kill(_swap_files),
}
"""By kind."""


def mounted(folder: Path) -> bool:
    """Whether a small disk could be mounted at ``folder``; only root can."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", str(folder)]
    with suppress(FileNotFoundError):
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    return False


def unmount(folder: Path) -> None:
    """Undoes :func:`mounted`."""
    subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)
