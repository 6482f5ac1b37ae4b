"""Plan: what the cells of a study take together, before any of them is computed.

Each cell takes the time of :mod:`study.design.cost` times the pace of the machine; a classifier is trained by one cell
of those with the same images. Side by side on W processes, the longest cells first, they end after the makespan of
:mod:`study.design.schedule`. No number of processes ends before the longest cell does: it is the critical path, since
cells do not wait for each other.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from analysis.numerals import duration
from study.design.cell import Cell
from study.design.cost import Cost, memory_together, readable_bytes
from study.design.schedule import enough_machines, makespan


@dataclass(frozen=True)
class Plan:
    """Cells that are to be computed.

    cells: the cells.
    costs: of each, by key.
    workers: number of processes, each of which computes one cell at a time.
    pace: seconds that the machine takes for each second of the cost model.
    """

    cells: Sequence[Cell]
    costs: Mapping[str, Cost]
    workers: int
    pace: float = 1.0

    @cached_property
    def seconds(self) -> dict[str, float]:
        """Expected seconds of each cell by key; those of which the time is not known are left out."""
        expected = {}
        trained = set()
        for cell in self.cells:
            cost = self.costs[cell.key]
            if cost.seconds is None:
                continue
            images = (cell.dataset, cell.image_size, cell.limit, cell.binarisation, cell.evaluate.classifiers)
            shared = cost.classifiers if images in trained else 0.0
            if cost.classifiers:
                trained.add(images)
            expected[cell.key] = self.pace * (cost.seconds - shared)
        return expected

    @property
    def total(self) -> float:
        """Seconds of all cells one after another."""
        return math.fsum(self.seconds.values())

    @property
    def longest(self) -> float:
        """Seconds of the longest cell."""
        return max(self.seconds.values(), default=0.0)

    @property
    def makespan(self) -> float:
        """Seconds until the last of the processes has ended."""
        return makespan(self.seconds, self.workers)

    @property
    def memory(self) -> float:
        """Bytes of memory of the most demanding cells that may run side by side."""
        return memory_together((self.costs[cell.key] for cell in self.cells), self.workers)

    @property
    def cores(self) -> int:
        """Processor cores, or GPUs, that the cells which may run side by side have processes for."""
        return sum(heapq.nlargest(self.workers, (self.costs[cell.key].processes for cell in self.cells)))

    @property
    def disk(self) -> float:
        """Bytes of the results."""
        return math.fsum(self.costs[cell.key].disk for cell in self.cells)

    def lines(self) -> list[str]:
        """The plan in lines to read."""
        trainings = sum(cell.seeds for cell in self.cells)
        lines = [f"to compute: {len(self.cells)} cells, {trainings} trainings"]
        if not self.cells:
            return lines
        processes = "1 process" if self.workers == 1 else f"{self.workers} processes"
        if self.seconds:
            useful = enough_machines(self.seconds)
            reached = "1 process reaches" if useful == 1 else f"{useful} processes reach"
            lines += [
                f"time: {duration(self.total)} of work, {duration(self.makespan)} with {processes}",
                f"critical path: {duration(self.longest)}, the longest cell, which {reached}",
            ]
        if self.cores > self.workers:
            lines.append(f"cores: {self.cores}, since several processes train one cell (train.processes)")
        if unknown := len(self.cells) - len(self.seconds):
            lines.append(f"of {unknown} cells the time is not known before their images are read")
        lines.append(f"memory: {readable_bytes(self.memory)} at least with {processes}")
        lines.append(f"disk: about {readable_bytes(self.disk)}")
        return lines
