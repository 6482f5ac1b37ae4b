"""Placement: on which device and in how many processes cells are computed, where memory has room for that."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Self, final

import torch

from study.design.cost import Cost, memory_together, readable_bytes
from study.design.memory import available_memory
from study.errors import EnvironmentFault
from study.run.execution import resolve_device, resolve_workers


@final
@dataclass(frozen=True, slots=True)
class Placement:
    """Placement of cells on devices and workers.

    device: ``cpu`` or ``cuda``.
    workers: number of processes, each of which computes one cell at a time.
    memory: bytes that the most demanding of the cells take in them, from below.
    available: bytes that the device has left.
    """

    device: str
    workers: int
    memory: float
    available: float

    @classmethod
    def of(cls, costs: Collection[Cost], device: str, workers: str) -> Self:
        """The placement of cells; ``auto`` takes no more processes than memory has room for.

        costs: of each cell that is to be computed.
        device: ``cpu``, ``cuda`` or ``auto``.
        workers: a number of processes, or ``auto``.

        Raises ConfigurationError for what is neither, and EnvironmentFault where there is no such device, or no room.
        """
        device = resolve_device(device)
        processes = max((cost.processes for cost in costs), default=1)
        if device == "cuda" and processes > torch.cuda.device_count():
            raise EnvironmentFault(
                f"train.processes={processes} needs a GPU for each process, and there are {torch.cuda.device_count()} "
                "here; use fewer, or --device cpu"
            )
        number = resolve_workers(workers, len(costs), device, processes)
        available = available_memory() if device == "cpu" else float(torch.cuda.mem_get_info()[0])
        room = next((n for n in range(number, 0, -1) if memory_together(costs, n) <= available), 0)
        if workers == "auto" and room:
            number = room
        placement = cls(device, number, memory_together(costs, number), available)
        if costs and room < number:
            fewer = f"use --workers {room}, or " if room else ""
            raise EnvironmentFault(f"there is too little memory: {placement}; {fewer}{_LOWER}")
        return placement

    def __str__(self) -> str:
        processes = "1 process" if self.workers == 1 else f"{self.workers} processes"
        needed, available = readable_bytes(self.memory), readable_bytes(self.available)
        return f"{processes} on {self.device} {_takes(self.workers)} {needed} at least, where {available} can be had"


_LOWER = (
    "lower latent_dim, evaluate.draws, evaluate.importance, evaluate.samples, seeds, limit or the sizes of the parts"
)


def _takes(number: int) -> str:
    return "takes" if number == 1 else "take"
