"""Worker: a Dask worker's side: each of its threads has a process of its own, in which cells are computed.

So a cell may be killed, or die of its memory, without the worker; torch's state is no other cell's; and Dask's event
loop never waits for a computation. A process ends with its worker, within a second, having saved its cell.

Whatever differs between this computer and the one where the command runs, and would change results, is a reason to take
no cell: versions, the package's own source, and the images, which the process looks at before its first cell.
"""

from __future__ import annotations

import hashlib
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Mapping
from concurrent.futures import wait
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, final

from distributed import Reschedule, Status, Worker, get_worker

from study.errors import EnvironmentFault
from study.run.cluster.order import Order, carry_out
from study.run.fork_server import WorkerChannel
from study.run.job import Event
from study.run.progress import Progress
from study.run.workers import Workers
from study.store.manifest import versions

TOPIC = "latent-study"
"""Topic of Dask's log of events under which progress is sent."""

REPORT_SECONDS = 1.0
"""Least time between two reports of a cell: the scheduler passes on those of all workers."""

POLL_SECONDS = 0.5

IDLE_SECONDS = 60.0
"""After which processes of a run that sends no orders any more end."""


@cache
def _source() -> str:
    """SHA-256 of the package's source files, by which versions in development differ."""
    site, digest = Path(__file__).parents[3], hashlib.sha256()
    for path in sorted(path for name in ("study", "analysis", "models") for path in (site / name).rglob("*.py")):
        digest.update(str(path.relative_to(site)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def terms() -> dict[str, str]:
    """What must be the same on a worker, by name."""
    return {name: value for name, value in versions().items() if name != "revision"} | {"source files": _source()}


def difference(other: Mapping[str, str]) -> str:
    """The first of the terms that is not the same here, in words; empty where all are.

    other: terms of where the command runs.
    """
    for name, here in terms().items():
        if here != other.get(name):
            texts = "" if name == "source files" else f" {here} instead of {other.get(name)}"
            return f"the worker on {socket.gethostname()} has other{' versions: ' + name if texts else ' '}" + (
                f"{texts}" if texts else "source files of latent-study"
            )
    return ""


def look(other: Mapping[str, str], seen: tuple[str, str]) -> tuple[str, str, bool]:
    """A worker's host, how it differs (empty if it does not), and whether it sees the results folder.

    other: terms of where the command runs.
    seen: a file of the results folder, and what it says.
    """
    path, text = seen
    with suppress(OSError):
        return socket.gethostname(), difference(other), Path(path).read_text("utf-8") == text
    return socket.gethostname(), difference(other), False


@final
class _Place:
    """The processes of one run on this worker."""

    def __init__(self, worker: Worker, order: Order) -> None:
        self.workers = Workers(worker.state.nthreads, order.threads, compiles=order.compiles)
        self.begun: set[str] = set()
        self.stopping = False
        self.used = time.monotonic()
        self._worker, self._run = worker, order.run
        self._private = tempfile.mkdtemp(prefix="latent-study-", dir=worker.local_directory)
        self._last: dict[str, float] = {}
        threading.Thread(target=self._pass_on, daemon=True).start()

    def compute(self, order: Order, files: Mapping[str, bytes]) -> dict[str, Any]:
        """The answer to an order; stops where nobody waits for it any more."""
        key = self._worker.get_current_task()
        if self.stopping:
            return {"outcome": None, "files": {}}
        self.begun.add(str(key))
        given_up = False
        try:
            future = self.workers.submit(carry_out, order, files, self._private, WorkerChannel())
            while wait([future], POLL_SECONDS).not_done:
                self.used = time.monotonic()
                if not given_up and not self.stopping and not self._is_wanted(key):
                    given_up = True
                    self.workers.stop()
            if given_up:
                raise Reschedule
            answer: dict[str, Any] = future.result()
            return answer
        finally:
            self.begun.discard(str(key))
            self.used = time.monotonic()

    def _is_wanted(self, key: Any) -> bool:
        """Whether this worker goes on, and the scheduler, and behind it the command, still ask for the task."""
        task = self._worker.state.tasks.get(key)
        return self._worker.status in (Status.running, Status.paused) and task is not None and task.state != "cancelled"

    def _pass_on(self) -> None:
        """Sends the events of the processes to the scheduler, which sends them to whoever listens."""
        while (event := self.workers.events.get()) is not None:
            assert isinstance(event, Event)
            now, what = time.monotonic(), None
            if isinstance(event.what, Progress):
                if now - self._last.get(event.key, 0.0) < REPORT_SECONDS and event.what.done < event.what.total:
                    continue
                self._last[event.key] = now
                what = asdict(event.what)
            with suppress(Exception):  # a line that is lost ends the worker by itself
                self._worker.log_event(TOPIC, {"run": self._run, "key": event.key, "progress": what})

    def close(self) -> None:
        """Ends the processes."""
        self.workers.shutdown(cancel_futures=True)
        self.workers.events.put(None)
        shutil.rmtree(self._private, ignore_errors=True)


_places: dict[str, _Place] = {}
_making = threading.Lock()


def take(order: Order, files: Mapping[str, bytes]) -> dict[str, Any]:
    """The task that a worker is given: carries out an order in one of its processes.

    order: what to compute.
    files: state of an earlier attempt, by name.

    Raises EnvironmentFault where this worker is none for the run, DataError where its images are others, and
    :class:`~study.run.workers.WorkerDied`.
    """
    with _making:
        for run in [run for run, place in _places.items() if not place.begun and _is_idle(place)]:
            _places.pop(run).close()
        place = _places.get(order.run)
        if place is None:
            host, differs, sees = look(order.terms["same"], order.terms["seen"])
            if differs:
                raise EnvironmentFault(f"{differs}; install there what is installed where the command runs")
            if order.root and not sees:
                raise EnvironmentFault(
                    f"the worker on {host} does not see {order.root}, as those before it do; the same "
                    "command goes on, with results sent through the scheduler"
                )
            place = _places[order.run] = _Place(get_worker(), order)
    return place.compute(order, files)


def _is_idle(place: _Place) -> bool:
    return time.monotonic() - place.used > IDLE_SECONDS


def stop(run: str) -> list[str]:
    """Asks the cells of a run on this worker to save and stop; the tasks that have begun."""
    if (place := _places.get(run)) is None:
        return []
    place.stopping = True
    begun = list(place.begun)
    place.workers.stop()
    return begun


def kill(run: str) -> None:
    """Ends the cells of a run on this worker at once."""
    if (place := _places.get(run)) is not None:
        place.stopping = True
        place.workers.kill()


def leave(run: str) -> None:
    """Ends the processes of a run on this worker, which has none of its cells."""
    if (place := _places.pop(run, None)) is not None:
        threading.Thread(target=place.close).start()
