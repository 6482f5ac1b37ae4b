"""Runs: a study on two workers, each in a session of its own, so that all its processes can be seen and shot at.

A run costs seconds of imports before it does anything. Warm runs are forked from a process that has imported already,
and so are their fork servers: what follows (signals, lines, locks, files) is the code that every user runs. Cold runs
start as users start them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import types
from contextlib import suppress
from pathlib import Path

LIMIT_SECONDS = 180
"""A run that takes longer hangs."""


class Run:
    """A run under way: ``latent-study`` with these arguments."""

    def __init__(self, arguments: list[str], *, cold: bool = False) -> None:
        self._output, output = os.pipe()
        os.set_blocking(self._output, False)
        sys.stdout.flush()
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        self.pid = os.fork()
        if self.pid:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        else:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # as the command does before its imports
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
            os.setsid()
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.closerange(3, 1024)
            _become(arguments, cold)
        os.close(output)
        self.exit_code: int | None = None
        self.start = time.monotonic()

    def poll(self) -> int | None:
        """Exit code of the parent process, None while it runs."""
        if self.exit_code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.exit_code = os.waitstatus_to_exitcode(status)
        return self.exit_code

    def wait(self, seconds: float = LIMIT_SECONDS) -> bool:
        """Whether the parent process has ended within ``seconds``."""
        end = time.monotonic() + seconds
        while self.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        return self.poll() is not None

    def processes(self) -> dict[int, int]:
        """The parent process id of each living process of the session."""
        members = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                state, parent, _, session, *_ = stat.read_text().rpartition(")")[2].split()
                if int(session) == self.pid and state not in "ZX":
                    members[int(stat.parent.name)] = int(parent)
        return members

    def servers(self) -> list[int]:
        """The fork server, where it is there."""
        return [pid for pid, parent in self.processes().items() if parent == self.pid]

    def workers(self) -> list[int]:
        """Workers that are there."""
        servers = self.servers()
        return [pid for pid, parent in self.processes().items() if parent in servers]

    def output(self) -> str:
        """What the run has written, at its end."""
        with open(self._output, "rb") as file:
            return (file.read() or b"").decode(errors="replace")


def warm_up() -> None:
    """Imports what a run and its workers import, and reads the images."""
    import study.answers.results
    import study.cli.answer
    import study.cli.run
    import study.run.building
    import study.run.checking
    import study.run.division
    import study.run.launch  # noqa: F401
    from study.answers.hypotheses import hypotheses
    from study.run.data.loading import load
    from study.run.fork_server import import_the_study

    import_the_study()
    hypotheses()
    load("digits")


def _become(arguments: list[str], cold: bool) -> None:
    """Turns this process into the run."""
    if cold:
        os.execv(sys.executable, [sys.executable, "-m", "study", *arguments])
    # Streams of the new outputs: those of this process may be at a position of a file.
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    code = 70
    try:
        from study.cli import main
        from study.run import workers

        workers.subprocess = types.SimpleNamespace(  # type: ignore[attr-defined]
            Popen=_Forked,
            DEVNULL=subprocess.DEVNULL,
            TimeoutExpired=subprocess.TimeoutExpired,
            _args_from_interpreter_flags=list,
        )
        sys.argv = ["latent-study", *arguments]
        code = main()
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


class _Forked:
    """Stands for ``subprocess.Popen`` of the fork server: the same process, forked and not executed."""

    def __init__(self, command: list[str], *, stdin: int, pass_fds: list[int]) -> None:
        self.returncode: int | None = None
        self._waiting = threading.Lock()
        control, threads, compiles = command[command.index("-c") + 2 :][:3]
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.closerange(3, int(control))
                os.closerange(int(control) + 1, 1024)
                from study.run.fork_server import main

                main(int(control), int(threads), compiles == "True")
            finally:
                os._exit(1)

    def poll(self) -> int | None:
        with self._waiting:
            if self.returncode is None:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self.returncode = os.waitstatus_to_exitcode(status)
            return self.returncode

    def wait(self, timeout: float = 1e9) -> int:
        end = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("fork server", timeout)
            time.sleep(0.005)
        assert self.returncode is not None
        return self.returncode

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, 9)
