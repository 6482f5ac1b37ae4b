"""Contention: cores that other processes use, on which threads of one training wait for each other.

A step of several threads meets at a barrier after each product. Where another process holds one of the cores, every
thread waits there until the last has had its turn, and a training of two threads was seen to fall to a hundredth of its
speed. It shows in that the process uses less than a core: its threads, of which one at least always has work, wait
instead. One thread has nobody to wait for, and makes at least as much of the share of a core that it is given.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import final

import torch

log = logging.getLogger(__name__)

PERIOD_SECONDS = 1.0
PERIODS = 4
"""Periods, one after the other, that a training must be short of a core; one alone may be a computer that slept."""

LEAST_SHARE = 0.5
"""Seconds of processor time for each second of wall time, of all threads together, below which they wait."""


@final
class Contention:
    """Watches a training and goes down to one thread where its threads wait for each other.

    device: of the training; one on a GPU waits for that, and is left alone.
    wall: clock in seconds.
    processor: clock of the processor time of this process, in seconds.
    """

    def __init__(
        self,
        device: torch.device,
        wall: Callable[[], float] = time.monotonic,
        processor: Callable[[], float] = time.process_time,
    ) -> None:
        self._device = device
        self._wall = wall
        self._processor = processor
        self._began = wall(), processor()
        self._short = 0

    def look(self) -> None:
        """Looks at the clocks, where a period has passed; sums over fewer threads may round differently."""
        threads, wall = torch.get_num_threads(), self._wall()
        passed = wall - self._began[0]
        if self._device.type != "cpu" or threads == 1 or passed < PERIOD_SECONDS:
            return
        processor = self._processor()
        share = (processor - self._began[1]) / passed
        self._began = wall, processor
        self._short = self._short + 1 if share < LEAST_SHARE else 0
        if self._short == PERIODS:
            torch.set_num_threads(1)
            log.warning(
                "%d threads of a training use %.0f %% of one core, since other processes share the cores; it goes on "
                "with one thread",
                threads,
                100 * share,
            )
