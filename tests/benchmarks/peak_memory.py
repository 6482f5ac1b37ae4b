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

from study.design.cell import Cell
from study.measurement import divergences, geometry
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
        replicate = Replicate.evaluated(vae, fixed.images, fixed.held_out_images, num_draws=given.draws, seed=0)
        told("codes, draws and densities")
        curve = divergences.subsampled(replicate, replicate.train)
        told("subsampling")
        estimates = divergences.estimates(replicate, replicate.train, curve)
        told("information and divergence")
        estimates |= geometry.estimates(replicate, replicate.train, geometry.spectrum(replicate.train))
        told("geometry")
    for name in ("rate", "information", "kl", "kl_moments_diagonal", "mean_square"):
        print(f"{name:<28} {estimates[name]}")


if __name__ == "__main__":
    main()
