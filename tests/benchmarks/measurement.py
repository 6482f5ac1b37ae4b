"""CPU seconds of measuring one replicate, by estimator, on one thread: an untrained model over MNIST 5k, N = 4,000.

    uv run python -m tests.benchmarks.measurement [SETTING=VALUE ...]     such as latent_dim=32 network=mlp

Without settings the latent is the map 16 × 8 × 8, D = 1,024. What a worker imports before its first cell, the
classifier and compiled kernels are there before the clock starts, as they are for all cells but the first. What several
estimators share, such as the densities of draws, counts for itself, as the densities' fits and the mixtures do, see
``stages.py``.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import Any

import torch

from analysis.float32 import full_float32
from study.design.study import Study
from study.measurement import measure as measurement
from study.measurement.classifier import Classifier
from study.run.data.binarisation import binarised, realistic
from study.run.experiment import load_images, new_replicate
from study.run.fork_server import import_the_study
from tests.benchmarks.stages import MEASUREMENT, Stages

USUAL = {"dataset": "mnist_5k", "latent_dim": "16x8x8", "network": "spatial", "seeds": 1}
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
    stages, begin = Stages(), time.perf_counter()
    with full_float32(), stages.measuring(lambda estimator: f"{estimator.table}: {estimator.quantities[0].name}"):
        measurement.measure(vae, fixed, grey, cell.evaluate, seed=0)
    stages.charge()
    wall, total = time.perf_counter() - begin, sum(spent.cpu for spent in stages.spent.values())
    print(f"{'in all':<44} {total:7.2f} s of CPU, {wall:.2f} s of wall time")
    for name, spent in sorted(stages.spent.items(), key=lambda stage: -stage[1].cpu)[:LISTED]:
        print(f"{name.removeprefix(f'{MEASUREMENT}: '):<44} {spent.cpu:7.2f}")


def _few(data: Any) -> Any:
    """The first images alone, to compile kernels with."""
    parts = ("images", "labels", "held_out_images", "held_out_labels")
    return replace(data, **{name: getattr(data, name)[:100] for name in parts})


if __name__ == "__main__":
    main()
