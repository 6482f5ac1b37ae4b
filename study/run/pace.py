"""Pace: how fast this machine is, from half a second, on one thread, of what trainings do most.

A probe multiplies a batch of 128 by a square matrix of 512, applies a nonlinearity, and copies the result: small
operations, whose overhead counts, and a product, whose arithmetic does. The pace is its time divided by that of the
machine on which the constants of :mod:`study.design.cost` were fitted, one core of a server processor.
"""

from __future__ import annotations

import time

import torch

REFERENCE_SECONDS = 4.5e-4
"""Of one round of the probe where the constants were fitted."""

PROBE_SECONDS = 0.5
_ROUNDS = 20


@torch.no_grad()
def pace(device: str) -> float:
    """Seconds that this machine, as busy as it is now, takes for each second of the cost model.

    device: ``cpu`` or ``cuda``.
    """
    batch, matrix = torch.ones(128, 512, device=device), torch.eye(512, device=device)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rounds, start = -_ROUNDS, time.perf_counter()
        while (now := time.perf_counter()) < start + PROBE_SECONDS or rounds <= 0:
            if rounds == 0:  # what was done once for all rounds is over
                start = now
            for _ in range(_ROUNDS):
                batch = torch.tanh(batch @ matrix).clone()
            batch.sum().item()  # waits for an accelerator
            rounds += _ROUNDS
        seconds = (time.perf_counter() - start) / rounds
    finally:
        torch.set_num_threads(threads)
    return seconds / REFERENCE_SECONDS
