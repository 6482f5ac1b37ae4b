"""Large stores: what the verbs that read results take with 100, 1,000 and 10,000 cells.

    uv run python tests/benchmarks/large_store.py [--cells 100 1000 10000] [--folder DIR] [--verbs status summary …]

A few small cells are really computed. Copies of them get other seeds, learning rates and weights of the KL term, hence
keys of their own, with numbers moved at random by their own standard errors, so that cells differ as further trainings
would. Each verb runs in a process of its own, first without the index or the extracts of the cells where that is what
is asked, and then with them. Prints wall time, processor time and peak memory of each, and the exponent a of time ∝
cells^a between consecutive sizes.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import math
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import netCDF4
import numpy as np

from study.cli import main as command
from study.design.cell import Cell
from study.store.manifest import Manifest, sha256
from study.store.store import MANIFEST, RESULT, WEIGHTS, Store

VERBS: dict[str, list[str]] = {
    "first status": ["status"],
    "status": ["status"],
    "verify": ["verify"],
    "first summary": ["summary"],
    "summary": ["summary"],
    "verdict": ["verdict", "--format", "csv"],
    "compare": ["compare"],
    "report": ["report"],
}
"""Words of each measured command."""

FACTORS: dict[str, tuple[Any, ...]] = {
    "beta": tuple(round(0.5 * 1.3**step, 3) for step in range(10)),
    "learning_rate": tuple(round(1e-4 * 1.5**step, 7) for step in range(10)),
    "seed_offset": tuple(range(0, 40, 2)),
}
"""What copies differ in, slowest first; the cells that are computed differ in prior and latent dimension."""


class Spent(NamedTuple):
    """What a process took.

    wall, cpu: seconds.
    peak: bytes of memory.
    """

    wall: float
    cpu: float
    peak: int


def made(folder: Path, number: int) -> Store:
    """A store of so many cells.

    folder: where it is made.
    number: of cells.
    """
    words = ["run", "smoke", "latent_dim=2,4,8", "prior=standard_normal,gaussian_mixture", "train.updates=20"]
    with contextlib.redirect_stdout(io.StringIO()):
        assert command([*words, "--results", str(folder / "models"), "--workers", "1", "--no-report"]) == 0
    models = Store(folder / "models" / "smoke")
    sources = [(models.folder(key), models.verify(key)) for key in models.known_keys()]
    store = Store(folder / "large")
    store.cells.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for values, (source, manifest) in itertools.islice(_copies(sources), number):
        _copy(store, source, manifest, values, rng)
    return store


def _copies(sources: list[tuple[Path, Manifest]]) -> Iterator[tuple[dict[str, Any], tuple[Path, Manifest]]]:
    for values in itertools.product(*FACTORS.values()):
        for source in sources:
            yield dict(zip(FACTORS, values, strict=True)), source


def _copy(store: Store, source: Path, manifest: Manifest, values: dict[str, Any], rng: np.random.Generator) -> None:
    config = manifest.config | {name: value for name, value in values.items() if name != "learning_rate"}
    config["train"] = config["train"] | {"learning_rate": values["learning_rate"]}
    key = Cell.from_config(config).key
    place = store.folder(key)
    place.mkdir()
    for name in (RESULT, WEIGHTS):
        shutil.copyfile(source / name, place / name)
    with netCDF4.Dataset(place / RESULT, "r+") as result:
        for group in result.groups.values():
            if {"value", "standard_error"} <= group.variables.keys():
                number, error = group["value"], np.nan_to_num(np.asarray(group["standard_error"][:]), posinf=0.0)
                number[:] = np.asarray(number[:]) + error * rng.normal(size=error.shape)
    times = {
        name: value * rng.uniform(0.9, 1.1) for name, value in manifest.details.items() if isinstance(value, float)
    }
    files = {name: sha256(place / name) for name in (RESULT, WEIGHTS)}
    changes = {"key": key, "config": config, "files": files, "details": manifest.details | times}
    (place / MANIFEST).write_text(manifest.model_copy(update=changes).sealed().model_dump_json(indent=2), "utf-8")


def measured(words: list[str], module: str = "study") -> Spent:
    """What a command takes, from the start of its process to its end.

    words: of the command line.
    module: that is the command.
    """
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", module, *words], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if status != 0:
        raise SystemExit(f"{module} {' '.join(words)} ended with status {status}")
    return Spent(time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, nargs="+", default=[100, 1_000, 10_000])
    parser.add_argument("--verbs", nargs="+", choices=VERBS, default=list(VERBS))
    parser.add_argument("--folder", type=Path, help="where stores are made; a temporary one by default")
    given = parser.parse_args()
    before: dict[str, tuple[int, float]] = {}
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        for number in given.cells:
            began = time.perf_counter()
            # In a process of its own: the peak of those that are measured begins with that of the one that starts them.
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
                store = process.submit(made, Path(folder) / str(number), number).result()
            print(f"{number:,} cells, made in {time.perf_counter() - began:.0f} s", flush=True)
            for verb in given.verbs:
                words = [*VERBS[verb][:1], str(store.root), *VERBS[verb][1:]]
                spent = measured([*words, "--output", str(Path(folder) / "page.html")] if verb == "report" else words)
                growth = ""
                if verb in before and before[verb][0] != number:
                    fewer, less = before[verb]
                    growth = f"   exponent {math.log(spent.cpu / less) / math.log(number / fewer):.2f}"
                before[verb] = number, spent.cpu
                times = f"{spent.wall:8.1f} s   cpu {spent.cpu:8.1f} s   peak {spent.peak / 2**20:7,.0f} MiB"
                print(f"  {verb:<14} {times}{growth}", flush=True)
            shutil.rmtree(Path(folder) / str(number))


if __name__ == "__main__":
    main()
