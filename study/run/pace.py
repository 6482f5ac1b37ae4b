"""Pace: how fast this machine is, from half a second, on one thread, of what trainings do most.

A probe multiplies a batch of 128 by a square matrix of 512, applies a nonlinearity, and copies the result: small
operations, whose overhead counts, and a product, whose arithmetic does. The pace is its time divided by that of the
machine on which the constants of :mod:`study.design.cost` were fitted, one core of a server processor.
"""

from __future__ import annotations

import statistics
import time

import torch

REFERENCE_SECONDS = 4.5e-4
"""Of one step of the probe where the constants were fitted."""

PROBE_SECONDS = 0.5
_STEPS, _LEAST_ROUNDS = 20, 3


@torch.no_grad()
def pace(device: str) -> float:
    """Seconds that this machine takes for each second of the cost model.

    device: ``cpu``, where the processor's own time counts, whatever else it is busy with, or ``cuda``.
    """
    batch, matrix = torch.ones(128, 512, device=device), torch.eye(512, device=device)
    clock = time.process_time if device == "cpu" else time.perf_counter
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        times: list[float] = []
        while len(times) < _LEAST_ROUNDS or sum(times) < PROBE_SECONDS:
            start = clock()
            for _ in range(_STEPS):
                batch = torch.tanh(batch @ matrix).clone()
            batch.sum().item()  # waits for an accelerator
            times.append(clock() - start)
    finally:
        torch.set_num_threads(threads)
    return statistics.median(times) / _STEPS / REFERENCE_SECONDS
