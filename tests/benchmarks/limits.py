"""Limits: the least that stages of a study can take, from rates of this machine that are measured in the same run.

    data                    bytes of the images, copied
    training                the products or convolutions of all updates, layer by layer with nothing around them, as
                            torch's layers, of which ours write some in other forms where those are faster
    densities of draws      two multiply-adds for each point, component and dimension at the rate of an fp32 product
    storing                 bytes of the stored files, written and flushed
    merging                 bytes of the results, copied

In seconds of processor time, save that of writing, which is wall time: a disk is waited for.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from analysis.float32 import full_float32
from models.vae import VAE
from study.design.cell import Cell
from study.measurement.images import ImageData
from study.store.store import RESULT
from tests.benchmarks.products import products
from tests.benchmarks.stages import DENSITIES

ROUNDS = 5
WRITTEN_BYTES, COPIED_NUMBERS, SIDE = 2**20, 2**25, 2_048


def median_seconds(run: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    """Median time of a call, after one that does not count."""
    run()
    taken = []
    for _ in range(ROUNDS):
        start = clock()
        run()
        taken.append(clock() - start)
    return statistics.median(taken)


@dataclass(frozen=True, slots=True)
class Rates:
    """Rates of this machine by processor time, which other work on it disturbs less than wall time.

    flops: fp32 operations a second, in a product of matrices.
    copied: bytes a second that are copied in memory.
    written: bytes a second that are written to a file of 1 MiB and flushed.
    """

    flops: float
    copied: float
    written: float

    @classmethod
    def measured(cls, folder: Path) -> Rates:
        """The rates now.

        folder: in which files are written.
        """
        matrix, source = torch.randn(SIDE, SIDE), torch.ones(COPIED_NUMBERS)
        target = torch.empty_like(source)

        def write() -> None:
            with (folder / "written").open("wb") as file:
                file.write(bytes(WRITTEN_BYTES))
                file.flush()
                os.fsync(file.fileno())

        with full_float32():
            product = median_seconds(lambda: matrix @ matrix)
        return cls(
            2 * SIDE**3 / product,
            source.nbytes / median_seconds(lambda: target.copy_(source)),
            WRITTEN_BYTES / median_seconds(write, time.perf_counter),
        )


def density_points(cell: Cell, data: ImageData) -> int:
    """Pairs of a point and a component of which densities are needed: draws of aggregate and prior in both splits, and
    held-out draws under the aggregate of the training images."""
    draws = cell.evaluate.draws
    return draws * (3 * len(data.images) + 2 * len(data.held_out_images))


def limits(cell: Cell, data: ImageData, vae: VAE, stored: Path, rates: Rates) -> dict[str, float]:
    """Seconds by stage.

    cell: the configuration, whose length of training is given in updates.
    data: its images as the model sees them.
    vae: a replicate of it.
    stored: folder of its results.
    rates: of this machine.
    """
    update = products(vae, data.images[: cell.train.batch_size])
    sizes = {path.name: path.stat().st_size for path in stored.iterdir()}
    return {
        "data": (data.images.nbytes + data.held_out_images.nbytes) / rates.copied,
        "training": cell.seeds * (cell.train.updates or 0) * median_seconds(lambda: update(1)),
        DENSITIES: cell.seeds * 4 * density_points(cell, data) * cell.latent_dim / rates.flops,
        "storing": sum(sizes.values()) / rates.written,
        "merging": sizes[RESULT] / rates.copied,
    }
