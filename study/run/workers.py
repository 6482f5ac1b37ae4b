"""Workers: an executor of processes that die one at a time.

``concurrent.futures.ProcessPoolExecutor`` ends all its workers, and every task, when one of them is killed. Here each
worker has a line of its own to the parent, so that only its own task fails, with :class:`WorkerDied`; the next task of
that place gets a new worker. Workers are forked by a server (:mod:`study.run.fork_server`), which knows nothing of the
calling script: neither a notebook nor a script without a main guard is run again in them.
"""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from multiprocessing import Pipe, spawn
from multiprocessing.connection import Connection
from typing import Any, final

from study.errors import EnvironmentFault
from study.run.fork_server import GRACE_SECONDS, PARENTS_SIGNALS, WorkerChannel

_PROGRAM = """
import sys
control, threads, compiles, *sys.path = sys.argv[1:]
from study.run.fork_server import main
main(int(control), int(threads), compiles == "True")
"""

_END_SECONDS = 2 * GRACE_SECONDS + 1
"""Within which the server ends when it is asked to."""


@final
class WorkerDied(BrokenExecutor):
    """The worker of a task ended before the task; ``exit_code`` is −s where signal s killed it, None if unknown."""

    def __init__(self, exit_code: int | None) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code

    def __str__(self) -> str:
        if self.exit_code is None:
            return "its worker process was killed"
        if self.exit_code >= 0:
            return f"its worker process ended with exit code {self.exit_code}"
        return f"its worker process was killed by signal {-self.exit_code}"


@final
class Workers(Executor):
    """``number`` processes of ``threads`` torch threads each, with the compiler of graphs imported if it ``compiles``.

    A task may be given ``channel``: what it sends arrives in ``events``, and it learns of :meth:`stop`.
    """

    channel = WorkerChannel()

    def __init__(self, number: int, threads: int, *, compiles: bool = True) -> None:
        self.events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._new_server = partial(_Server, threads, compiles)
        self._server = self._new_server()
        self._replacing = threading.Lock()
        self._workers = [_Worker(self._live_server, self.events.put) for _ in range(number)]
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(number, "worker")

    def submit[T](self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """The result of ``fn``, which must be importable in another process; see Executor."""
        return self._threads.submit(self._compute, fn, args, kwargs)

    def _compute(self, *task: Any) -> Any:
        worker = self._idle.get()
        try:
            return worker.compute(task)
        finally:
            self._idle.put(worker)

    def _live_server(self) -> _Server:
        with self._replacing:
            if not self._server.alive():
                self._server.close()
                self._server = self._new_server()
            return self._server

    def stop(self) -> None:
        """Asks the running tasks to save and stop; before any of them has begun, there is nothing to wait for."""
        for worker in self._workers:
            worker.stop()
        if not self._server.ready:
            self._server.kill()

    def kill(self) -> None:
        """Ends the running tasks at once."""
        for worker in self._workers:
            worker.kill()
        self._server.kill()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the processes once their tasks are done.

        wait: whether to return only then.
        cancel_futures: whether tasks that have not begun are dropped.
        """
        self._threads.shutdown(wait, cancel_futures=cancel_futures)
        for worker in self._workers:
            worker.close()
        self._server.close()


@final
class _Worker:
    """One place of the executor: a process, the line to it, and its successor when it has died."""

    def __init__(self, server: Callable[[], _Server], watch: Callable[[Any], None]) -> None:
        self._live_server, self._watch = server, watch
        self._server: _Server | None = None
        self._line: Connection | None = None
        self._status = -1
        self._process: int | None = None
        self._stopping = False
        self._sending = threading.Lock()

    def compute(self, task: Any) -> Any:
        """Result of ``task`` (function, arguments, keywords) in the process, or the exception that it raises."""
        try:
            with self._sending:
                if self._line is not None and self._ends():
                    self.close()
                if self._line is None:
                    self._server = self._live_server()
                    self._line, self._status = self._server.fork()
                if self._stopping:
                    self._line.send(("stop", None))
                self._line.send(("task", task))
            while True:
                match self._line.recv():
                    case "ready", process:
                        self._process, self._server.ready = process, True  # type: ignore[union-attr]
                    case "event", event:
                        self._watch(event)
                    case "result", result:
                        return result
                    case "error", error:
                        raise error
        except (EOFError, ConnectionError) as error:
            raise self._death() from error

    def stop(self) -> None:
        """Asks the task, and those to come, to save and stop."""
        self._stopping = True
        with self._sending, suppress(OSError):
            if self._line is not None:
                self._line.send(("stop", None))

    def kill(self) -> None:
        """Ends the process at once."""
        self._stopping = True
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.kill(self._process, signal.SIGKILL)

    def close(self) -> None:
        """Ends the line, and with it the process."""
        if self._line is not None:
            self._line.close()
            os.close(self._status)
        self._line, self._process = None, None

    def _ends(self) -> bool:
        """Whether the idle process has ended, or is about to with its server: no task should suffer from that."""
        assert self._line is not None
        assert self._server is not None
        return self._line.poll() or not self._server.alive()  # it says nothing while it is idle

    def _death(self) -> Exception:
        """Why the process has ended, from the server, or from how that has ended."""
        assert self._server is not None
        status = os.read(self._status, 16)
        self.close()
        if not status and (fault := self._server.fault()):
            return fault
        return WorkerDied(int(status) if status else None)


@final
class _Server:
    """The process that forks workers of ``threads`` torch threads; ``ready`` once the first of them has reported."""

    def __init__(self, threads: int, compiles: bool) -> None:
        self.ready = False
        self._line, line = socket.socketpair()
        flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
        words = [str(line.fileno()), str(threads), str(compiles), *(path or os.getcwd() for path in sys.path)]
        # Ctrl-C reaches all processes of a terminal: the child inherits blocked signals until it ignores them.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, PARENTS_SIGNALS)
        try:
            self._process = subprocess.Popen(
                [spawn.get_executable(), *flags, "-c", _PROGRAM, *words],
                stdin=subprocess.DEVNULL,
                pass_fds=[line.fileno()],
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            line.close()

    def alive(self) -> bool:
        """Whether it can fork."""
        return self._process.poll() is None

    def fork(self) -> tuple[Connection, int]:
        """The line to a new worker, and a descriptor from which its exit code can be read once it has ended."""
        ours, theirs = Pipe()
        status, ending = os.pipe()
        with suppress(ConnectionError):  # a server that dies now closes the line to its worker, and that tells
            socket.send_fds(self._line, [b"f"], [theirs.fileno(), ending])
        theirs.close()
        os.close(ending)
        return ours, status

    def fault(self) -> EnvironmentFault | None:
        """Why this process, which has ended, could not start; None where it was killed."""
        if self._process.wait() <= 0 or self.ready:
            return None
        reason = self._line.recv(4096).decode(errors="replace") or f"exit code {self._process.returncode}"
        return EnvironmentFault(f"worker processes cannot start ({reason}); run with --workers 1 and train.processes=1")

    def kill(self) -> None:
        """Ends the process, and with it its workers."""
        self._process.kill()

    def close(self) -> None:
        """Lets the process end after its workers."""
        self._line.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
