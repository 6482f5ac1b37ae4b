"""Job: one cell's computation, from its lock to its place in the store; what a worker does.

What crosses between processes is a configuration, reports of progress, and a short outcome.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from study.design.cell import Cell
from study.errors import EnvironmentFault, WorkersDied
from study.run.progress import Progress, Reporter
from study.store.store import Store

REPORT_SECONDS = 0.1
"""Least time between two reports that are passed on."""

Runner = Callable[..., Any]
"""``run_cell`` of study.run.experiment, or what stands in for it."""


@dataclass(frozen=True, slots=True)
class Job:
    """All that a worker needs for one cell.

    cell: the configuration.
    store: where its result goes.
    runner: what computes it.
    device: ``cpu`` or ``cuda``.
    data_root: where data sets are kept; None for the usual place.
    images: checksum of the data set's content.
    command: what a user typed.
    wait: let another process that holds the cell finish first.
    """

    cell: Cell
    store: Store
    runner: Runner
    device: str
    data_root: Path | None
    images: str
    command: str
    wait: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a cell ended.

    key: of the cell.
    status: ``busy`` where another process holds it, ``died`` where its worker did and the cell is tried once more.
    message: the engine of a stored cell, and what happened to another.
    seconds: wall time.
    saved: whether a stopped cell kept all of its work.
    """

    key: str
    status: Literal["stored", "present", "failed", "busy", "died", "stopped"]
    message: str = ""
    seconds: float = 0.0
    saved: bool = True


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a watcher of the study sees.

    key: of the cell.
    what: None where it starts, progress, or its outcome.
    """

    key: str
    what: Progress | Outcome | None


class Stopping(KeyboardInterrupt):
    """Raised out of a report, where a cell saves its state: the study has been asked to stop."""


class Channel(Protocol):
    """A worker's line to the parent."""

    def send(self, event: Event) -> None:
        """Passes an event on."""

    def stopping(self) -> bool:
        """Whether the study has been asked to stop."""


def compute(job: Job, channel: Channel) -> Outcome:
    """Runs one cell under its lock and stores it.

    job: the cell.
    channel: the line to the parent.

    An error of the cell itself, its data included, is recorded and not raised. Raises EnvironmentFault, which concerns
    all cells.
    """
    key, store = job.cell.key, job.store
    lost = threading.Event()
    with store.lock(key, wait=job.wait, lost=lost) as locked:
        if not locked:
            return Outcome(key, "busy")
        if store.condition(key) == "done":
            return Outcome(key, "present")
        channel.send(Event(key, None))
        workspace = store.begin(job.cell, images=job.images)
        start = time.perf_counter()
        try:
            result = job.runner(
                job.cell, workspace, device=job.device, data_root=job.data_root, report=_report(key, channel, lost)
            )
            seconds = time.perf_counter() - start
            _check(lost)
            store.publish(job.cell, result, images=job.images, device=job.device, seconds=seconds, command=job.command)
        except Stopping:
            return Outcome(key, "stopped")
        except KeyboardInterrupt:
            return stopped_unsaved(job)
        except EnvironmentFault:
            raise
        except Exception as error:
            # The workspace of a cell that was taken over is another process's, whatever was found there.
            return Outcome(key, "busy") if lost.is_set() else _failed(job, error, time.perf_counter() - start)
        return Outcome(key, "stored", _engine(result.details), seconds)


def _failed(job: Job, error: Exception, seconds: float) -> Outcome:
    """Records the failure of a cell."""
    job.store.fail(job.cell, error, command=job.command)
    return Outcome(job.cell.key, "failed", job.store.failure(job.cell.key)["message"], seconds)


def give_up(job: Job, death: Exception) -> Outcome:
    """Records the failure of a cell whose worker died twice.

    job: the cell.
    death: how the second one died.
    """
    error = WorkersDied(str(death))
    with job.store.lock(job.cell.key, wait=False) as locked:
        if locked:
            job.store.fail(job.cell, error, command=job.command)
    return Outcome(job.cell.key, "failed", str(error))


def stopped_unsaved(job: Job) -> Outcome:
    """The outcome of a cell that was ended before it could save, with what remains of it."""
    checkpoints = [path.stat().st_mtime for path in job.store.workspace(job.cell.key).glob("checkpoint*.safetensors")]
    if checkpoints:
        remains = f"it goes on from its checkpoint of {max(0.0, time.time() - max(checkpoints)):.0f} s ago"
    else:
        remains = "it has no checkpoint and starts anew"
    return Outcome(job.cell.key, "stopped", remains, saved=False)


def _engine(details: Mapping[str, Any]) -> str:
    """Engine that trained the cell, with the reason."""
    return f"{details['engine']}: {details['engine_reason']}" if "engine_reason" in details else ""


class _TakenOver(Exception):
    """Another process computes the cell: this one did not run for so long that its lease ended.

    It saves no state, which would be written over that of the other.
    """


def _check(lost: threading.Event) -> None:
    if lost.is_set():
        raise _TakenOver


def _report(key: str, channel: Channel, lost: threading.Event) -> Reporter:
    latest = -REPORT_SECONDS

    def report(progress: Progress) -> None:
        nonlocal latest
        _check(lost)
        if channel.stopping():
            raise Stopping
        if time.monotonic() - latest >= REPORT_SECONDS or progress.done == progress.total:
            latest = time.monotonic()
            channel.send(Event(key, progress))

    return report
