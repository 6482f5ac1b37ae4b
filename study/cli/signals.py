"""Signals: Ctrl-C (SIGINT) from the first line of the command to its last.

Python's own handler raises KeyboardInterrupt at each signal, wherever the program is: one that falls into an import, or
into what answers the one before, is printed as a traceback. Here the first raises, so that temporary files go and what
is done can be kept, and any further one ends the process at once, without a word. SIGTERM and SIGHUP need no handler:
they end a process without a word by default. While a study computes, its own handler (:mod:`study.run.execution`) takes
all three.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, final

INTERRUPTED = 128 + signal.SIGINT
"""The exit code, as shells report a process that SIGINT ended."""


@final
class _Interrupt:
    """The handler."""

    heard = False
    """Whether the next one ends the process."""

    def __call__(self, _signum: int, frame: FrameType | None) -> None:
        """Takes a signal.

        An import is not interrupted but ends with the process: extension modules print the exception, or make another
        of it and go on without what they wanted to import.
        """
        if self.heard or _importing(frame):
            os._exit(INTERRUPTED)
        self.heard = True
        raise KeyboardInterrupt

    def lost(self, unraisable: Any) -> None:
        """Ends the process where the exception fell into a finaliser, out of which nothing can be raised."""
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            os._exit(INTERRUPTED)
        sys.__unraisablehook__(unraisable)


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def interruptible(command: Callable[[], int], *, returns: bool) -> int:
    """The exit code of ``command``, :data:`INTERRUPTED` where Ctrl-C ended it.

    Where this is not the main thread, or an interactive session, signals are left to whom they belong.

    command: does the work.
    returns: whether a program goes on afterwards, which gets its handlers back; the process ends otherwise, and until
        then a signal does not wait for that.
    """
    if threading.current_thread() is not threading.main_thread() or hasattr(sys, "ps1"):
        return command()
    interrupt = _Interrupt()
    handler, hook = signal.getsignal(signal.SIGINT), sys.unraisablehook
    try:
        sys.unraisablehook = interrupt.lost
        signal.signal(signal.SIGINT, interrupt)
        code = command()
        interrupt.heard = True
    except BaseException:
        # Whatever an interrupt was turned into on its way.
        if not interrupt.heard:
            raise
        return INTERRUPTED
    finally:
        if returns:
            signal.signal(signal.SIGINT, handler)
            sys.unraisablehook = hook
    return code
