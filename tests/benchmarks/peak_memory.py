"""Peak host memory of the analysis at D = 65,536: an untrained 8 × 8 × 1,024 model over all of MNIST, codes streamed.

    uv run python tests/benchmarks/peak_memory.py --data-root DIR [--images 60000] [--draws 200] [--channels 1024]

Weights do not matter to memory, so none are trained. Prints seconds and the peak resident set after each stage.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import torch

from study.design.cell import Cell, Evaluate
from study.measurement.estimators import estimates
from study.measurement.estimators.growth import curve
from study.measurement.replicate import Replicate
from study.run.data.binarisation import binarised
from study.run.experiment import load_images, new_replicate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--channels", type=int, default=1024)
    given = parser.parse_args()
    cell = Cell.from_config(
        {
            "dataset": "mnist",
            "limit": given.images,
            "latent_dim": f"{given.channels}x8x8",
            "network": {"name": "spatial", "channels": [32, 64]},
        }
    )
    data = load_images(cell, given.data_root)
    fixed = binarised(data, "dynamic")
    vae = new_replicate(cell, data, 0).eval()
    start = time.perf_counter()

    def told(stage: str) -> None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"{stage:<28} {time.perf_counter() - start:8.0f} s   peak {peak:5.1f} GiB", flush=True)

    told("images and network")
    with torch.no_grad():
        evaluate = Evaluate(draws=given.draws, importance=(), samples=0)
        replicate = Replicate(vae, fixed, fixed, evaluate, seed=0)
        assert len(replicate.train.draws.log_aggregate) == given.draws
        told("codes, draws and densities")
        curve(replicate.train)
        told("subsampling")
        found = estimates("aggregate", replicate.train)
        told("estimates")
    for name in ("rate", "information", "kl", "kl_moments_diagonal", "mean_square"):
        print(f"{name:<28} {found[name]}")


if __name__ == "__main__":
    main()
