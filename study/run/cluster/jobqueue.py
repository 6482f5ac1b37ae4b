"""Jobqueue: dask-jobqueue, without the handler of Ctrl-C that it sets.

Importing it makes an interrupt end this process with code 0, as if all had been done.
"""

from __future__ import annotations

import signal
import threading

_before = signal.getsignal(signal.SIGINT)
try:
    import dask_jobqueue
finally:
    if _before is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, _before)

__all__ = ["dask_jobqueue"]
