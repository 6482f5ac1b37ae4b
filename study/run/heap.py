"""Heap: memory that a process frees is kept for its next tensors, in place of being given back and asked for again.

The allocator of glibc returns each freed block of 32 MiB or more, and the end of its heap, to the system at once. The
next block of that size costs a page fault for each of its pages, which the kernel fills with zeros: in a measurement
at D = 4,096 this was a tenth of the processor time. A worker, which ends with its study, need not return anything.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

KEPT_BYTES = 2**30
"""Blocks beyond this size are returned, and so is the end of the heap."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h


def keep_freed_memory() -> None:
    """Makes this process keep blocks of up to ``KEPT_BYTES`` that it frees; nothing without the allocator of glibc."""
    with suppress(AttributeError, OSError, TypeError):  # another C library, or another system
        allocator = ctypes.CDLL(None)
        allocator.mallopt(_M_MMAP_THRESHOLD, KEPT_BYTES)
        allocator.mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
