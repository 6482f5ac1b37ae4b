"""CPU seconds of measuring one replicate, by estimator, on one thread: an untrained model over MNIST 5k, N = 4,000.

    uv run python tests/benchmarks/measurement.py [SETTING=VALUE ...]     such as latent_dim=32 network=mlp

Without settings the latent is the map 16 × 8 × 8, D = 1,024. What a worker imports before its first cell, the
classifier and compiled kernels are there before the clock starts, as they are for all cells but the first. What several
estimators share counts for the first that asks, and the densities' fits and the mixtures, which are no estimators,
count for themselves.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import torch

from study.design.study import Study
from study.measurement import measure as measurement
from study.measurement.classifier import Classifier
from study.measurement.estimators import Estimator
from study.run.data.binarisation import binarised, realistic
from study.run.experiment import load_images, new_replicate
from study.run.fork_server import import_the_study

USUAL = {"dataset": "mnist_5k", "latent_dim": "16x8x8", "network": "spatial", "seeds": 1}
STEPS = "fitted", "_mixtures", "_sources", "records"
LISTED = 20


def main() -> None:
    torch.set_num_threads(1)
    import_the_study(compiles=False)
    (cell,) = Study(name="measurement", settings=USUAL).override(sys.argv[1:]).cells()
    data = load_images(cell, None)
    fixed, grey = binarised(data, cell.binarisation), realistic(data, cell.binarisation)
    Classifier.of(grey)
    vae = new_replicate(cell, data, 0).eval()
    little = {"draws": 60, "samples": 0, "importance": (), "densities": (), "components": (1,)}
    measurement.measure(vae, _few(fixed), _few(grey), cell.evaluate.model_copy(update=little), seed=1)
    seconds: Counter[str] = Counter()

    def timed(compute: Callable[..., Any], name: Callable[..., str]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            before = time.process_time()
            result = compute(*arguments)
            seconds[name(*arguments)] += time.process_time() - before
            return result

        return run

    estimates = timed(Estimator.estimates, lambda estimator, _: f"{estimator.table}: {estimator.quantities[0].name}")
    steps = {step: timed(getattr(measurement, step), lambda *_, step=step: step.strip("_")) for step in STEPS}
    start, begin = time.process_time(), time.perf_counter()
    with patch.object(Estimator, "estimates", estimates), patch.multiple(measurement, **steps):
        measurement.measure(vae, fixed, grey, cell.evaluate, seed=0)
    total, wall = time.process_time() - start, time.perf_counter() - begin
    print(f"{'in all':<44} {total:7.2f} s of CPU, {wall:.2f} s of wall time")
    for name, spent in seconds.most_common(LISTED):
        print(f"{name:<44} {spent:7.2f}")


def _few(data: Any) -> Any:
    """The first images alone, to compile kernels with."""
    parts = ("images", "labels", "held_out_images", "held_out_labels")
    return replace(data, **{name: getattr(data, name)[:100] for name in parts})


if __name__ == "__main__":
    main()
