"""Execution: the cells of a study on an executor, each computed at most once, stored, and resumable.

In this process for one worker, on a pool of spawned processes for more. Cells are independent of each other.
"""

from __future__ import annotations

import multiprocessing
import queue
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, final

import torch

from study.design.cell import Cell
from study.design.registry import UnknownName
from study.errors import ConfigurationError, EnvironmentFault, Interrupted, StudyError
from study.run.job import Event, Job, Outcome, compute

POLL_SECONDS = 0.1


@final
class _Stop:
    """SIGINT and SIGTERM while a study runs: the first asks the cells to save and stop, the second does not wait."""

    signum: int | None = None

    def __call__(self, signum: int, _frame: Any) -> None:
        if self.signum is not None:
            raise KeyboardInterrupt
        self.signum = signum

    @contextmanager
    def listening(self) -> Iterator[_Stop]:
        """Installs the handler for the block."""
        before = {signum: signal.signal(signum, self) for signum in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for signum, handler in before.items():
                signal.signal(signum, handler)


@final
@dataclass(frozen=True, slots=True)
class _Direct:
    """The channel of a cell that runs in this process."""

    watch: Callable[[Event], None]
    stop: _Stop

    def send(self, event: Event) -> None:
        self.watch(event)

    def stopping(self) -> bool:
        return self.stop.signum is not None


@final
@dataclass(frozen=True, slots=True)
class _Line:
    """The channel of a cell in a worker process; a worker whose parent is gone stops too."""

    events: Any
    stop: Any

    def send(self, event: Event) -> None:
        self.events.put(event)

    def stopping(self) -> bool:
        parent = multiprocessing.parent_process()
        return self.stop.is_set() or (parent is not None and not parent.is_alive())


_line: _Line | None = None


def _start_worker(line: _Line, threads: int) -> None:
    global _line  # noqa: PLW0603  (a spawned worker has no other place for what its initializer received)
    _line = line
    torch.set_num_threads(threads)


def _compute_in_worker(job: Job) -> Outcome:
    assert _line is not None
    return compute(job, _line)


def execute(jobs: Sequence[Job], workers: int, watch: Callable[[Event], None]) -> list[Outcome]:
    """Outcomes of all jobs in order of completion; cells that another run holds come last.

    Raises Interrupted after a signal, once running cells have saved their state, and the first StudyError that is not
    one cell's own (absent data, an unwritable folder).
    """
    run = _run_here if workers == 1 else _run_in_pool
    with _Stop().listening() as stop:
        try:
            outcomes = run(jobs, workers, watch, stop)
            busy = {outcome.key for outcome in outcomes if outcome.status == "busy"}
            later = [replace(job, wait=True) for job in jobs if job.cell.key in busy]
            outcomes = [outcome for outcome in outcomes if outcome.key not in busy] + run(later, workers, watch, stop)
        except (KeyboardInterrupt, BrokenProcessPool) as error:
            if stop.signum is None:
                raise EnvironmentFault(
                    "a worker process was killed, perhaps for its memory; run again with fewer --workers to resume"
                ) from error
        if stop.signum is not None:
            raise Interrupted(stop.signum)
    return outcomes


def _run_here(jobs: Sequence[Job], _workers: int, watch: Callable[[Event], None], stop: _Stop) -> list[Outcome]:
    channel = _Direct(watch, stop)
    outcomes = []
    for job in jobs:
        outcomes.append(compute(job, channel))
        watch(Event(job.cell.key, outcomes[-1]))
    return outcomes


def _run_in_pool(jobs: Sequence[Job], workers: int, watch: Callable[[Event], None], stop: _Stop) -> list[Outcome]:
    context = multiprocessing.get_context("spawn")
    line = _Line(context.Queue(), context.Event())
    threads = max(1, torch.get_num_threads() // workers)
    outcomes: list[Outcome] = []
    with ProcessPoolExecutor(workers, context, _start_worker, (line, threads)) as pool:
        with _interrupts_blocked():
            pending = {pool.submit(_compute_in_worker, job) for job in jobs}
        try:
            while pending:
                done, pending = wait(pending, POLL_SECONDS, FIRST_COMPLETED)
                _drain(line.events, watch)
                if stop.signum is not None:
                    line.stop.set()
                for future in done:
                    outcomes.append(future.result())
                    watch(Event(outcomes[-1].key, outcomes[-1]))
        except StudyError:
            line.stop.set()
            raise
        except KeyboardInterrupt:
            for child in multiprocessing.active_children():
                child.kill()
            raise
    return outcomes


def _drain(events: Any, watch: Callable[[Event], None]) -> None:
    while True:
        try:
            watch(events.get_nowait())
        except queue.Empty:
            return


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Workers born in the block never see Ctrl-C, which a terminal sends to all: their parent tells them to stop."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def share(cells: Sequence[Cell], shard: str) -> list[Cell]:
    """The i-th of n equal parts of ``cells`` for ``shard`` ``i/n``, counted from 1."""
    index, slash, count = shard.partition("/")
    if not (slash and index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
        raise ConfigurationError(f"--shard is i/n with 1 ≤ i ≤ n, such as 2/8; got {shard!r}")
    return list(cells[int(index) - 1 :: int(count)])


def resolve_device(device: str) -> str:
    """``cpu`` or ``cuda``; ``auto`` takes CUDA where there is one."""
    if device not in ("auto", "cpu", "cuda"):
        raise ConfigurationError(str(UnknownName("device", device, ["auto", "cpu", "cuda"])))
    if device == "cuda" and not torch.cuda.is_available():
        raise EnvironmentFault("--device cuda needs a CUDA device and a torch built for it; use --device cpu")
    return device if device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"


def resolve_workers(workers: str, cells: int, device: str) -> int:
    """A number of worker processes, at most one for each cell; ``auto`` is one on CUDA, else one for each thread.

    A worker costs seconds to start, so that each has two cells at least; small networks leave a second thread idle.
    """
    if workers == "auto":
        return 1 if device == "cuda" else max(1, min(cells // 2, torch.get_num_threads()))
    if not workers.isdecimal() or int(workers) < 1:
        raise ConfigurationError(f"--workers is a positive integer or auto; got {workers!r}")
    return min(int(workers), max(1, cells))
