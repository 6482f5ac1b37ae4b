"""Ending: the process ends with its command, and what it has imported is not taken down first.

Python takes every module apart when a process ends and looks through all objects several times for those that refer to
each other. After torch and pandas that is 1.6 s of processor time, longer than some verbs take for their answer, and
ten seconds where other processes want the same processor. The system takes the memory back in any case. What has to
happen at the end does: threads are waited for, functions of :mod:`atexit` are called, what was printed is written.
"""

from __future__ import annotations

import atexit
import os
import sys
from typing import final


@final
class Ending:
    """The last function that the process calls: the first to be registered with :mod:`atexit` is.

    code: of the process; None until its command has ended, and for good where that raised an exception, which Python
        prints and makes an exit code of.
    """

    def __init__(self) -> None:
        self.code: int | None = None
        atexit.register(self)

    def __call__(self) -> None:
        """Ends the process, unless there is something left to be said of it."""
        if self.code is None:
            return
        try:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
        except (OSError, ValueError):  # Python says so, and makes an exit code of it
            return
        os._exit(self.code)
