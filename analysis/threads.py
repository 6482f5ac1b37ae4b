"""Threads: one pool a process, of as many threads as torch has, for kernels that release the interpreter lock."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch


def in_threads(work: Callable[[int], None]) -> None:
    """Calls ``work`` once in each thread, with the thread's number, and waits for all; with one thread it is this one.

    Args:
        work: what to do; threads share its tasks, such as by one iterator.
    """
    threads = torch.get_num_threads()
    if threads == 1:
        work(0)
    else:
        list(_pool(threads).map(work, range(threads)))


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "kernel")


os.register_at_fork(after_in_child=_pool.cache_clear)  # a forked process has the pool and none of its threads
