"""Session: a study run from Python, as `latent-study run` does from the command line."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from study.design.study import Study
from study.errors import PartialResults
from study.paths import RESULTS
from study.run.division import check_device, check_platform, worker_count
from study.run.launch import Launch
from study.store import Store


def run(
    study: Study | str,
    *,
    results: Path | str = RESULTS,
    workers: int | str = "auto",
    device: str = "auto",
    data_root: Path | str | None = None,
    progress: bool = True,
) -> Store:
    """Computes the cells of a study, or what is missing of them, and returns the store of its results.

    It works in a program, with a main guard or without, in a notebook and in a thread. What is interrupted goes on with
    the next call.

    Args:
        study: the study, or a preset's name, or the path of a YAML file.
        results: the folder that holds studies; this one's is ``results/<name>``.
        workers: a number of processes that compute cells side by side, or ``auto``.
        device: ``cpu``, ``cuda`` or ``auto``.
        data_root: where data sets are kept; None for the usual place.
        progress: whether progress is shown on stderr.

    Raises:
        StudyError: of the kinds that :mod:`study.errors` lists; PartialResults where cells failed, the others being
            stored.

    Example::

        store = run(Study.load("digits").override(["latent_dim=2,8", "seeds=1"]))
        trees = store.load()
    """
    chosen = Study.load(study) if isinstance(study, str) else study
    check_platform()
    check_device(device)
    worker_count(str(workers))
    store = Store(Path(results) / chosen.name)
    launch = Launch(
        store, str(workers), device, None if data_root is None else Path(data_root), None, f"study.run({chosen.name!r})"
    )
    cells = chosen.cells()
    launch.check(cells)
    outcomes = launch.compute(cells, Console(stderr=True, quiet=not progress))
    if failed := [outcome for outcome in outcomes if outcome.status == "failed"]:
        raise PartialResults(f"{len(failed)} of {len(cells)} cells failed, the first because {failed[0].message}")
    return store
