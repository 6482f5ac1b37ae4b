"""The first run of a new user: the default command in a clean clone with empty caches, its wall and CPU time by part.

    uv run python tests/benchmarks/first_run.py [--workers N] [--keep] [ARGUMENTS OF `latent-study run`]

The clone holds what is committed. Seconds of CPU are those of the command and of all processes that it started; the
parts of each cell are those that its manifest states, and what is left of the CPU is imports, data, storing and page.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = {
    "data": "data_seconds",
    "training": "training_seconds",
    "training, CPU": "training_cpu_seconds",
    "measurement": "measurement_seconds",
    "measurement, CPU": "measurement_cpu_seconds",
}
"""Parts of a cell, and what its manifest calls their seconds."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", action="store_true", help="leave the clone and its results where they are")
    given, arguments = parser.parse_known_args()
    folder = tempfile.TemporaryDirectory(prefix="latent study ", delete=not given.keep)
    with folder as name:
        _measure(Path(name), arguments)
        if given.keep:
            print(f"results in {name}")


def _measure(folder: Path, arguments: list[str]) -> None:
    clone, cache = folder / "clone", folder / "cache"
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(clone)], check=True)
    environment = os.environ | {
        "PYTHONPATH": str(clone),
        "XDG_CACHE_HOME": str(cache),
        "LATENT_STUDY_CACHE": str(cache / "latent-study"),
        "NUMBA_CACHE_DIR": str(cache / "numba"),
        "TORCHINDUCTOR_CACHE_DIR": str(cache / "inductor"),
        "MPLCONFIGDIR": str(cache / "matplotlib"),
    }
    load = os.getloadavg()[0]
    wall, cpu = _timed([sys.executable, "-m", "study", "run", *arguments], clone, environment)
    import_wall, import_cpu = _timed([sys.executable, "-c", "import study.run.experiment"], clone, environment)
    print(f"{processor_name()}, {os.cpu_count()} cores, load {load:.1f} before, Python {platform.python_version()}")
    print(f"{'import of one worker':<24} {import_wall:7.1f} s wall {import_cpu:7.1f} s CPU")
    print(f"{'the command':<24} {wall:7.1f} s wall {cpu:7.1f} s CPU")
    manifests = [json.loads(path.read_text("utf-8")) for path in (clone / "results").rglob("manifest.json")]
    cells = [manifest["details"] | {"seconds": manifest["seconds"]} for manifest in manifests]
    print(f"{len(cells)} cells, seconds of wall time where nothing else is said; cells that run at once overlap:")
    for part, field in {**PARTS, "whole cells": "seconds"}.items():
        print(f"{part:<24} {sum(cell.get(field, 0.0) for cell in cells):7.1f} s")


def processor_name() -> str:
    """The processor's name, where the system tells it."""
    if (table := Path("/proc/cpuinfo")).exists():
        names = [line.partition(":")[2].strip() for line in table.read_text().splitlines() if "model name" in line]
        if names:
            return names[0]
    return platform.processor() or platform.machine()


def _timed(command: list[str], folder: Path, environment: dict[str, str]) -> tuple[float, float]:
    """Seconds of wall time, and of CPU of the command and all that it started."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, check=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
