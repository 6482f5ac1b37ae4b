"""Fork server: a process that imports the study once and forks workers, each of which computes one cell at a time.

A worker that imported torch, Pyro and the rest by itself would pay seconds and hundreds of megabytes for what the next
one imports again; forked after the import, workers start in milliseconds and share those pages. Forking is safe there
because the server has done nothing but import: no parallel region, no CUDA context. Where it is not safe even so (the
frameworks of macOS), the server forks first and each worker imports.

A worker outlives nobody. Its end of the line to the parent closes when the parent dies, however it dies: the running
cell is asked to save, and after ``GRACE_SECONDS`` the worker exits whatever it is doing. The server, which watches its
own parent, ends in the same moment, and Linux then kills what is left of its workers.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import queue
import select
import signal
import socket
import sys
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, final

from study.run.heap import keep_freed_memory

GRACE_SECONDS = 0.6
"""How long a worker whose parent died may take to save the cell that it computes."""

POLL_SECONDS = 0.1

PARENTS_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that a terminal or a scheduler sends to all processes of a run; the parent alone answers them."""

PRELOADED = (
    "study.run.experiment",
    "study.run.kernels",
    "netCDF4",  # of results
    "torch._dynamo",  # of torch's optimisers
    "torch._decomp.decompositions_for_jvp",  # of products with a decoder's Jacobian
)
"""Modules that every cell imports, some of them when they are first used."""

WHERE_INSTALLED = ("dask.array", "dask.distributed")
"""Modules that xarray imports with its first array and its first file, where they are installed."""

COMPILER = "torch._inductor.compile_fx"
"""Module of the compiled engine, whose import takes seconds that a study of eager cells need not spend."""

_PR_SET_PDEATHSIG = 1


def main(control: int, threads: int, compiles: bool) -> None:
    """Serves the parent at the other end of the socket ``control`` until that closes.

    threads: of torch, in each worker.
    compiles: whether cells may be trained by a compiled graph.
    """
    for signum in PARENTS_SIGNALS:
        signal.signal(signum, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PARENTS_SIGNALS)
    parent = os.getppid()
    forks_safely = sys.platform == "linux"
    line = socket.socket(fileno=control)
    if forks_safely:
        try:
            import_the_study(compiles)
        except Exception as error:
            line.send(f"{type(error).__name__}: {error}".encode())
            os._exit(1)
    statuses: dict[int, int] = {}
    while os.getppid() == parent:
        if select.select([line], [], [], POLL_SECONDS)[0]:
            message, descriptors, *_ = socket.recv_fds(line, 1, 2)
            if not message:
                break
            channel, status = descriptors
            worker = os.fork()
            if worker == 0:
                line.close()
                for other in (status, *statuses.values()):
                    os.close(other)
                _work(channel, threads, compiles, imported=forks_safely)
            os.close(channel)
            statuses[worker] = status
        _report_ends(statuses)
    end = time.monotonic() + GRACE_SECONDS
    while statuses and time.monotonic() < end:
        time.sleep(0.01)
        _report_ends(statuses)
    os._exit(0)  # which ends workers that are still there


def import_the_study(compiles: bool = True) -> None:
    """Imports what computes a cell and compiles its kernels; what libraries warn of, the parent has shown already.

    compiles: whether to import the compiler of training graphs, too.
    """
    terminal = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        for module in (*PRELOADED, *([COMPILER] if compiles else [])):
            importlib.import_module(module)
        for module in WHERE_INSTALLED:
            with suppress(Exception):  # which of them is broken, is told where it is asked for
                importlib.import_module(module)
        importlib.import_module("study.measurement.estimators").families()  # discovered when they are first asked for
        importlib.import_module("study.run.kernels").compile_kernels()
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)


def _report_ends(statuses: dict[int, int]) -> None:
    """Tells the parent how each worker that has ended did so."""
    while statuses:
        worker, status = os.waitpid(-1, os.WNOHANG)
        if not worker:
            return
        descriptor = statuses.pop(worker)
        with suppress(OSError):  # nobody is there to read it
            os.write(descriptor, str(os.waitstatus_to_exitcode(status)).encode())
        os.close(descriptor)


def _work(channel: int, threads: int, compiles: bool, *, imported: bool) -> None:
    """The life of a forked worker."""
    try:
        _end_with_the_server()
        if not imported:
            import_the_study(compiles)
        import torch  # noqa: PLC0415  (the server has none before the study is imported)

        torch.set_num_threads(threads)
        keep_freed_memory()
        _worker.serve(Connection(channel))
    finally:
        sys.stderr.flush()
        os._exit(1)


def _end_with_the_server() -> None:
    server = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != server:
        os._exit(1)


@final
class _Worker:
    """This process, where it is a worker."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self._tasks: queue.SimpleQueue[tuple[Any, ...] | Exception | None] = queue.SimpleQueue()

    def serve(self, parent: Connection) -> None:
        """Answers the tasks that come from ``parent``, one by one, until the line ends."""
        self._parent = parent
        self.send("ready", os.getpid())
        threading.Thread(target=self._listen, daemon=True).start()
        while (task := self._tasks.get()) is not None:
            try:
                if isinstance(task, Exception):
                    raise task
                function, arguments, keywords = task
                answer = "result", function(*arguments, **keywords)
            except Exception as error:
                error.add_note(traceback.format_exc())
                answer = "error", error
            try:
                self.send(*answer)
            except Exception as error:  # it cannot be pickled
                self.send("error", RuntimeError(f"what a worker returns cannot be sent: {error}"))

    def send(self, kind: str, value: Any) -> None:
        """Sends to the parent, or stops where there is none any more."""
        try:
            self._parent.send((kind, value))
        except OSError:
            self.stopping.set()

    def _listen(self) -> None:
        """Takes tasks and the request to stop; the end of the line is the end of the parent."""
        while True:
            try:
                kind, value = self._parent.recv()
            except (EOFError, OSError):
                break
            except Exception as error:  # a function that cannot be imported here
                self._tasks.put(error)
                continue
            if kind == "task":
                self._tasks.put(value)
            else:
                self.stopping.set()
        self.stopping.set()
        self._tasks.put(None)
        time.sleep(GRACE_SECONDS)
        os._exit(1)


_worker = _Worker()


@final
@dataclass(frozen=True, slots=True)
class WorkerChannel:
    """The channel of a cell in a worker: it has no state but that of the process which it is in."""

    def send(self, event: Any) -> None:
        """Passes an event on to the parent."""
        _worker.send("event", event)

    def stopping(self) -> bool:
        """Whether the parent asks to stop, or is gone."""
        return _worker.stopping.is_set()
