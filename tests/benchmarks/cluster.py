"""What a cell costs beyond its own computation on a Dask cluster of this computer, beside the pool of processes.

    uv run python -m tests.benchmarks.cluster --cells 1000 --workers 8

Cells are stand-ins that compute next to nothing; both sides lock, write, flush and verify the same files. Each side is
started, given two cells for each worker, and then timed. The processor time is that of all processes, the scheduler's
included, and is what can be compared on a busy computer.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import psutil

from study.design.cell import Cell
from study.run.cluster import connected
from study.run.cluster.request import Request
from study.run.execution import Stop, execute, run_on
from study.run.job import Job
from study.run.workers import Workers
from study.store.store import Store

sys.path.insert(0, str(Path(__file__).parents[1] / "study" / "run"))

import cluster_runners


def jobs(store: Store, dims: range) -> list[Job]:
    """One stand-in for each latent dimension."""
    cells = [Cell.from_config({"latent_dim": dim}) for dim in dims]
    return [Job(cell, store, cluster_runners.run, "cpu", None, "", "") for cell in cells]


def processor_seconds() -> float:
    """Seconds of processor time of this process and of all below it."""
    this = psutil.Process()
    times = [process.cpu_times() for process in (this, *this.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def timed(pool, store: Store, cells: int, workers: int) -> tuple[float, float]:
    """Wall and processor time of a cell, in milliseconds, once every worker has computed two."""
    stop = Stop(patience=2)
    run_on(pool, pool, jobs(store, range(100, 100 + 2 * workers)), lambda _: None, stop)
    todo, start, used = jobs(store, range(1000, 1000 + cells)), time.perf_counter(), processor_seconds()
    outcomes = run_on(pool, pool, todo, lambda _: None, stop)
    assert {outcome.status for outcome in outcomes} == {"stored"}
    return 1e3 * (time.perf_counter() - start) / cells, 1e3 * (processor_seconds() - used) / cells


def main(cells: int, workers: int) -> float:
    """Prints both sides, and returns how much longer a cell takes on the cluster, in milliseconds of wall time."""
    with tempfile.TemporaryDirectory() as folder:
        with Workers(workers, 1, compiles=False) as pool:
            here = timed(pool, Store(Path(folder) / "pool"), cells, workers)
        store, start = Store(Path(folder) / "cluster"), time.perf_counter()
        with connected(Request(kind="local"), store, workers, check=None, compiles=False) as cluster:
            started = time.perf_counter() - start
            there = timed(cluster, store, cells, workers)
            execute([], 1, lambda _: None, cluster)
    print(f"{cells} cells, {workers} workers; the cluster started within {started:.1f} s")
    print(f"pool:    {here[0]:6.1f} ms a cell, {here[1]:6.1f} ms of processor time")
    print(f"cluster: {there[0]:6.1f} ms a cell, {there[1]:6.1f} ms of processor time")
    print(f"cluster - pool: {there[0] - here[0]:.1f} ms a cell, {there[1] - here[1]:.1f} ms of processor time")
    return there[0] - here[0]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=8)
    options = parser.parse_args()
    main(options.cells, options.workers)
