"""Growth: time and memory of each stage of a study against each of its sizes, with the fitted exponents.

    uv run python -m tests.benchmarks.growth [SIZE ...] [--full] [--least SECONDS]

A study of one small cell, digits of 8 × 8 pixels repeated with noise, is run for several values of one size at a time:

    N         training images (held-out ones are a fifth of all)
    D         dimensions of the latent
    M         evaluation draws
    samples   images from each source
    K         components of the one mixture that is fitted, diagonal
    updates   of the weights
    seeds     of the cell
    cells     of the study

Each run is a process forked after a first run, so that imports and compiled kernels are there, and its stages are those
of ``stages.py``. The exponent a of time ∝ size^a is the least-squares slope of log time on log
size; that of memory is of the peak above what was held when the stage began. Fixed costs flatten both at small sizes:
``last`` is the exponent between the two largest alone. Stages that do not grow, or stay below ``--least``
seconds, are left out, and "!" marks an exponent that exceeds what the definition of the stage demands by more than
``TOLERANCE``.

By default this takes some two minutes; ``--full`` goes to N = 10⁶, D = 65,536 and hours.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import multiprocessing
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import yaml

from analysis.randomness import stream
from study.measurement.images import ImageData
from study.run import experiment, preflight
from study.run.data.loading import load
from tests.benchmarks.account import stages_of
from tests.benchmarks.first_run import processor_name
from tests.benchmarks.stages import FITS, MEASUREMENT, REST, Spent

BASE: dict[str, Any] = {
    "dataset": "digits",
    "limit": 1000,
    "binarisation": "dynamic",
    "network": {"name": "mlp", "hidden": [64]},
    "latent_dim": 16,
    "seeds": 1,
    "train": {"updates": 50, "batch_size": 100, "engine": "eager"},
    "evaluate": {
        "draws": 200,
        "components": [4],
        "covariances": ["diagonal"],
        "densities": ["moment_normal"],
        "importance": [1, 10],
        "importance_images": 50,
        "two_sample_draws": 200,
        "samples": 200,
    },
}

SIZES: dict[str, tuple[str, list[int], list[int]]] = {
    "N": ("limit", [2_000, 4_000, 8_000], [1_000, 10_000, 100_000, 1_000_000]),
    "D": ("latent_dim", [64, 256, 1_024], [2, 64, 2_048, 65_536]),
    "M": ("evaluate.draws", [500, 1_000, 2_000], [500, 2_000, 8_000, 32_000]),
    "samples": ("evaluate.samples", [200, 400, 800], [200, 800, 3_200]),
    "K": ("evaluate.components", [10, 20, 40], [10, 30, 90]),
    "updates": ("train.updates", [250, 500, 1_000], [1_000, 10_000, 100_000]),
    "seeds": ("seeds", [1, 2, 4], [1, 4, 16]),
    "cells": ("beta", [1, 2, 4], [4, 16, 64, 256]),
}
"""Setting of each size, its values, and those of ``--full``."""

DEMANDED = {
    ("D", f"{MEASUREMENT}: spectrum"): 3,
    ("D", FITS): 3,
    ("D", f"{MEASUREMENT}: moments"): 3,
    ("D", f"{MEASUREMENT}: decomposition"): 3,
    ("D", f"{MEASUREMENT}: gain"): 3,
    ("samples", f"{MEASUREMENT}: manifold"): 2,
    ("samples", f"{MEASUREMENT}: kernel_distance"): 2,
    ("samples", f"{MEASUREMENT}: novelty"): 2,
}
"""Exponents above 1 that definitions demand: eigenvalues and roots of a D × D matrix, distances of all pairs."""

TOLERANCE = 0.3
"""Of exponents: where data outgrow a cache, twice as much takes more than twice as long, once."""

LEAST_MEMORY, BUFFERS = 2**22, 2**28
"""Bytes of memory below which no growth is shown, since allocators round, and below which none is marked, since buffers
of bounded size are still filling."""

FLAT = 0.1
"""Exponent of a stage that does not grow."""


def digits(name: str, *, limit: int | None = None, **options: Any) -> ImageData:
    """Digits repeated to as many training images as ``limit`` says, a fourth as many held out, with noise of each."""
    data = load(name, **options)
    generator = stream(0, "growth", "noise")
    num = limit or len(data.images)

    def repeated(images: torch.Tensor, labels: torch.Tensor, num: int) -> tuple[torch.Tensor, torch.Tensor]:
        rows = torch.arange(num) % len(images)
        noise = 0.05 * torch.rand(num, *images.shape[1:], generator=generator)
        return (images[rows] + noise).clamp_(max=1), labels[rows]

    images, labels = repeated(data.images, data.labels, num)
    held_out, held_out_labels = repeated(data.held_out_images, data.held_out_labels, max(num // 4, 450))
    return replace(
        data, images=images, labels=labels, held_out_images=held_out, held_out_labels=held_out_labels, checksum=str(num)
    )


def study_of(size: str, value: int) -> dict[str, Any]:
    """The study with that value of a size, and all others as they are."""
    setting, *_ = SIZES[size]
    document: dict[str, Any] = {"settings": dict(BASE)}
    if size == "cells":
        document["factors"] = {setting: [round(1 + step / 1000, 3) for step in range(value)]}
    else:
        group, _, name = setting.rpartition(".")
        given = [value] if size == "K" else value
        document["settings"][group or name] = {**BASE[group], name: given} if group else given
    return document


def account(size: str, value: int) -> dict[str, Spent]:
    """Stages of one run in this process, the estimators of a file as one."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "growth.yaml"
        file.write_text(yaml.safe_dump(study_of(size, value)), "utf-8")
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            spent = stages_of(file, Path(folder), memory=True)
    rows: dict[str, Spent] = {}
    for stage, each in spent.items():
        name = ": ".join(stage.split(": ")[:2])
        rows[name] = rows.get(name, Spent()) + each
    return rows | {"whole": sum(spent.values(), Spent())}


def forked(size: str, value: int) -> dict[str, Spent]:
    """:func:`account` in a process that is forked for it, so that memory is as it was after the first run."""
    parent, child = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=lambda: child.send(account(size, value)))
    process.start()
    child.close()
    try:
        return parent.recv()
    except EOFError:
        raise SystemExit(f"the run with {size} = {value:,} failed") from None
    finally:
        process.join()


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Slope of log value on log size by least squares; NaN where a value is not positive."""
    if min(values) <= 0:
        return math.nan
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def faster_than_demanded(size: str, stage: str, found: float) -> bool:
    """Whether a stage grows faster with a size than its definition demands."""
    return found > DEMANDED.get((size, stage), 1) + TOLERANCE


def print_growth(size: str, runs: Mapping[int, Mapping[str, Spent]], least: float) -> None:
    """Prints the table of one size."""
    values = sorted(runs)
    print(f"\n{size} ({SIZES[size][0]})".ljust(37) + "".join(f"{value:>12,}" for value in values), end="")
    print(f"{'exponent':>11}{'last':>7}{'MiB':>12}{'exponent':>10}")
    largest = runs[values[-1]]
    for stage in sorted(largest, key=lambda name: -largest[name].cpu):
        seconds = [runs[value].get(stage, Spent()).cpu for value in values]
        found, last = exponent(values, seconds), exponent(values[-2:], seconds[-2:])
        peaks = [runs[value].get(stage, Spent()).peak for value in values]
        grown = exponent(values, peaks) if peaks[-1] >= LEAST_MEMORY else 0.0
        grows = stage == "whole" or (stage != REST and max(found, last, grown) >= FLAT)
        if seconds[-1] < least or not grows:
            continue
        mark = "!" if faster_than_demanded(size, stage, max(found, last)) else " "
        line = f"  {stage:34}" + "".join(f"{each:11.3f}s" for each in seconds) + f"{found:10.2f}{mark}{last:7.2f}"
        if peaks[-1] >= LEAST_MEMORY:
            mark = "!" if peaks[-1] > BUFFERS and faster_than_demanded(size, stage, grown) else " "
            line += f"{peaks[-1] / 2**20:12.0f}{grown:10.2f}{mark}"
        print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", help=f"of {', '.join(SIZES)}; all by default")
    parser.add_argument("--full", action="store_true", help="up to the largest sizes")
    parser.add_argument(
        "--least", type=float, default=0.03, help="seconds at the largest size, below which none is shown"
    )
    given = parser.parse_args()
    if unknown := set(given.sizes) - set(SIZES):
        parser.error(f"expected sizes of {', '.join(SIZES)}; got {', '.join(sorted(unknown))}")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as cache, contextlib.ExitStack() as patches:
        patches.enter_context(patch.dict(os.environ, {"LATENT_STUDY_CACHE": cache}))
        for module in (experiment, preflight):
            patches.enter_context(patch.object(module, "load", digits))
        first = account(
            "M", BASE["evaluate"]["draws"]
        )  # trains the classifier that most of the others share, and imports
        print(f"{processor_name()}, 1 thread, CPU seconds; a first run took {first['whole'].cpu:.1f} s")
        for size in given.sizes or SIZES:
            values = SIZES[size][2 if given.full else 1]
            print_growth(size, {value: forked(size, value) for value in values}, given.least)


if __name__ == "__main__":
    main()
