"""Execution: the cells of a study, each computed at most once, stored, and resumable.

In this process for one worker; for more on an executor, in the sense of ``concurrent.futures``: here one of local
processes, elsewhere perhaps a cluster's. Cells are independent of each other, and so are their failures: only what
concerns all of them, such as a full disk, stops the study.
"""

from __future__ import annotations

import logging
import queue
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol, final

import torch

from study.errors import EnvironmentFault, Interrupted
from study.run.division import check_device, worker_count
from study.run.job import Channel, Event, Job, Outcome, compute, give_up, stopped_unsaved
from study.run.workers import Workers

log = logging.getLogger(__name__)

POLL_SECONDS = 0.1

Watch = Callable[[Event], None]


@final
class Stop:
    """SIGINT, SIGTERM, SIGHUP while a study runs: the first asks cells to save and stop, the second does not wait.

    patience: number of signals after which another interrupts whatever this process is doing, as the handler does
        that was there before.
    """

    signum: int | None = None
    """The first signal."""

    def __init__(self, patience: int) -> None:
        self._patience = patience
        self._count = 0
        self._before: dict[int, Any] = {}

    @property
    def at_once(self) -> bool:
        """Whether not to wait for cells."""
        return self._count > 1

    def __call__(self, signum: int, frame: Any) -> None:
        """Takes a signal, as its handler."""
        self._count += 1
        self.signum = self.signum or signum
        if self._count > self._patience:
            if callable(interrupt := self._before.get(signal.SIGINT)):
                interrupt(signum, frame)
            raise KeyboardInterrupt

    @contextmanager
    def listening(self) -> Iterator[Stop]:
        """Installs the handler for the block; only the main thread of a process can, and a hang-up may be ignored."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        signums: list[int] = [signal.SIGTERM, signal.SIGINT]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as it is under nohup
            signums.insert(0, signal.SIGHUP)
        self._before = {signum: signal.getsignal(signum) for signum in signums}
        try:
            for signum in signums:
                signal.signal(signum, self)
            yield self
        finally:
            for signum, handler in self._before.items():  # that of SIGINT, which may raise, is the last
                signal.signal(signum, handler)


class _Watcher:
    """Passes events on for as long as somebody sees them: a closed terminal must not cost a cell its state."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._present = True

    def __call__(self, event: Event) -> None:
        if self._present:
            try:
                self._watch(event)
            except OSError as error:
                self._present = False
                log.warning("progress is no longer shown: %s", error)


@final
@dataclass(frozen=True, slots=True)
class _Direct:
    """The channel of a cell that runs in this process."""

    watch: Watch
    stop: Stop

    def send(self, event: Event) -> None:
        self.watch(event)

    def stopping(self) -> bool:
        return self.stop.signum is not None


class Line(Protocol):
    """How a study speaks with cells that run on an executor; those know it as ``channel``."""

    events: queue.SimpleQueue[Event]

    @property
    def channel(self) -> Channel:
        """Receiver of a cell's progress, wherever the cell runs; it crosses processes where the executor's tasks do."""

    def stop(self) -> None:
        """Asks the running cells to save and stop."""

    def kill(self) -> None:
        """Ends the running cells at once."""


class Pool(Line, Protocol):
    """An executor of :mod:`concurrent.futures` and the line to what it runs."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """The future result of ``fn`` with ``args`` and ``kwargs``; see Executor."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the pool; ``wait`` and ``cancel_futures`` are those of Executor."""


def execute(jobs: Sequence[Job], workers: int, watch: Watch, pool: Pool | None = None) -> list[Outcome]:
    """Outcomes of all jobs in order of completion; cells that another run holds come last.

    jobs: the cells.
    workers: number of processes; 1 is this one.
    watch: called with every event, in this thread.
    pool: where they are computed in the place of processes of this computer; it is shut down.

    Raises Interrupted after a signal, once running cells have saved their state, and the first error that is not one
    cell's own (an unwritable folder). Signals are heard where this is called in the main thread.
    """
    watch = _Watcher(watch)
    here = pool is None and workers == 1
    with Stop(patience=1 if here else 2).listening() as stop:
        if here:
            return _both_rounds(jobs, lambda jobs: _run_here(jobs, watch, stop), stop)
        pool = pool or Workers(workers, max(1, torch.get_num_threads() // workers), compiles=compiles(jobs))
        try:
            outcomes = _both_rounds(jobs, lambda jobs: run_on(pool, pool, jobs, watch, stop), stop)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                pool.kill()
            pool.stop()
            pool.shutdown(cancel_futures=True)
            raise
        pool.shutdown()
        return outcomes


def compiles(jobs: Sequence[Job]) -> bool:
    """Whether some of the jobs may be trained by a compiled graph."""
    return any(job.cell.train.engine in ("auto", "compiled") for job in jobs)


def _both_rounds(jobs: Sequence[Job], run: Callable[[Sequence[Job]], list[Outcome]], stop: Stop) -> list[Outcome]:
    """All cells, and then those that another run held, for which the second round waits."""
    outcomes = run(jobs)
    busy = {outcome.key for outcome in outcomes if outcome.status == "busy"}
    later = [replace(job, wait=True) for job in jobs if job.cell.key in busy]
    if later and stop.signum is None:
        outcomes = [outcome for outcome in outcomes if outcome.key not in busy] + run(later)
    if stop.signum is not None:
        unsaved = sum(outcome.status == "stopped" and not outcome.saved for outcome in outcomes)
        raise Interrupted(stop.signum, unsaved)
    return outcomes


def _run_here(jobs: Sequence[Job], watch: Watch, stop: Stop) -> list[Outcome]:
    channel = _Direct(watch, stop)
    outcomes: list[Outcome] = []
    for job in jobs:
        if stop.signum is not None:
            break
        try:
            outcomes.append(compute(job, channel))
        except KeyboardInterrupt:  # outside the cell's own code
            outcomes.append(stopped_unsaved(job))
        watch(Event(job.cell.key, outcomes[-1]))
    return outcomes


def run_on(executor: Executor | Pool, line: Line, jobs: Sequence[Job], watch: Watch, stop: Stop) -> list[Outcome]:
    """Outcomes of jobs on an executor, in order of completion; after a stop only those of cells that had begun.

    A cell whose worker dies is tried once more, after the others.

    executor: where cells are computed.
    line: to those that are being computed.
    jobs: the cells.
    watch: called with every event, in this thread.
    stop: the signals so far.
    """
    pending = {executor.submit(compute, job, line.channel): job for job in jobs}
    outcomes: list[Outcome] = []
    begun: set[str] = set()
    died: set[str] = set()
    fault: Exception | None = None

    def ended(outcome: Outcome) -> None:
        outcomes.append(outcome)
        watch(Event(outcome.key, outcome))

    def cancel() -> None:
        for future in list(pending):
            if future.cancel():
                del pending[future]

    stopping = False
    while pending:
        done, _ = wait(pending, POLL_SECONDS, FIRST_COMPLETED)
        _drain(line.events, watch, begun)
        if (stop.signum is not None or fault) and not stopping:
            stopping = True
            cancel()
            line.stop()
        if stop.at_once:
            line.kill()
        for future in done & pending.keys():
            job = pending.pop(future)
            try:
                ended(future.result())
            except BrokenExecutor as error:
                if stopping:
                    if job.cell.key in begun:
                        ended(stopped_unsaved(job))
                elif job.cell.key in died:
                    ended(give_up(job, error))
                else:
                    died.add(job.cell.key)
                    watch(Event(job.cell.key, Outcome(job.cell.key, "died", str(error))))
                    pending[executor.submit(compute, job, line.channel)] = job
            except Exception as error:
                fault = fault or error
    if fault:
        raise fault
    return outcomes


def _drain(events: queue.SimpleQueue[Event], watch: Watch, begun: set[str]) -> None:
    while True:
        try:
            event = events.get_nowait()
        except queue.Empty:
            return
        begun.add(event.key)
        watch(event)


def resolve_device(device: str) -> str:
    """``cpu`` or ``cuda``; ``auto`` takes CUDA where there is one."""
    check_device(device)
    if device == "cuda" and not torch.cuda.is_available():
        raise EnvironmentFault("--device cuda needs a CUDA device and a torch built for it; use --device cpu")
    return device if device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"


def resolve_workers(workers: str, cells: int, device: str, processes: int = 1) -> int:
    """A number of workers, at most one for each cell; ``auto`` is one on CUDA, else one for each thread.

    A worker costs seconds to start, so that each has two cells at least; small networks leave a second thread idle.
    One whose cells are trained by several processes needs a thread for each.

    workers: as a user wrote it.
    cells: how many there are to compute.
    device: ``cpu`` or ``cuda``.
    processes: most of them that train one cell.

    Raises ConfigurationError where ``workers`` is neither ``auto`` nor a positive integer.
    """
    count = worker_count(workers)
    if count is None:
        return 1 if device == "cuda" else max(1, min(cells // 2, torch.get_num_threads() // processes))
    return min(count, max(1, cells))
