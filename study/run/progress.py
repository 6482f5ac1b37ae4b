"""Progress: what a running cell says of itself, small enough to cross processes several times a second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Phase = Literal["training", "measuring"]


@dataclass(frozen=True, slots=True)
class Progress:
    """One report: ``done`` of ``total`` steps of a phase, and the latest figures in nats per image (replicate mean).

    loss, rate and distortion are those of the last batches; ``images_per_second`` counts the images of all replicates.
    """

    phase: Phase
    done: int
    total: int
    loss: float | None = None
    rate: float | None = None
    distortion: float | None = None
    images_per_second: float | None = None


Reporter = Callable[[Progress], None]
"""Receiver of a cell's progress. A call may raise KeyboardInterrupt, which asks the cell to save its state and stop:
make the calls between steps, where that state is whole, and at least once a second."""
