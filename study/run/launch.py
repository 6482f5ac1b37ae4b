"""Launch: a study's cells from what must hold before any of them to the outcome of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from study.design.cell import Cell
from study.design.cost import Cost
from study.design.labels import titles
from study.errors import EnvironmentFault
from study.paths import ensure_writable, usable_cache
from study.run import cluster as clusters
from study.run.checking import check_all
from study.run.cluster.request import Request
from study.run.display import display
from study.run.division import Shard
from study.run.execution import compiles, execute
from study.run.experiment import run_cell
from study.run.forecast import Forecast
from study.run.job import Event, Job, Outcome
from study.run.placement import Placement
from study.run.preflight import check_images, check_roots, check_same_images
from study.run.publishing import publishing
from study.run.tracking import tracking
from study.store import Store
from study.store.index import standings

if TYPE_CHECKING:
    from study.store.objects.mirror import Mirror


@dataclass(frozen=True, slots=True)
class Launch:
    """How the cells of a study are computed.

    store: where results are kept.
    workers: a number of processes, or ``auto``.
    device: ``cpu``, ``cuda`` or ``auto``.
    data_root: where data sets are kept; None for the usual place.
    tensorboard: folder for TensorBoard's logs; None for none.
    command: what a user typed, kept with each cell.
    cluster: where they are computed; None for this computer.
    mirror: of the URL where finished cells are published, whose copy ``store`` is; None for none.
    """

    store: Store
    workers: str
    device: str
    data_root: Path | None
    tensorboard: Path | None
    command: str
    cluster: Request | None = None
    mirror: Mirror | None = None

    def share(self, cells: list[Cell], shard: Shard) -> list[Cell]:
        """The cells of one part of a study, see :meth:`Shard.of`; where there are several, all cells are checked.

        cells: of the study.
        shard: the part.
        """
        if shard.parts == 1:
            return cells
        return shard.of(cells, {key: cost.seconds for key, cost in check_all(cells).items()})

    def check(self, cells: Sequence[Cell]) -> tuple[dict[str, Cost], Placement | Request]:
        """Resources of each cell, by key, and where those that are not stored will be computed.

        Raises a StudyError where they cannot be computed as asked, so far as a glance at the data tells.
        """
        if self.cluster is not None:
            _check_dask()
        costs = check_all(cells)
        placement = self._placement(cells, costs)
        if self.data_root:
            check_roots(cells, self.data_root)
        return costs, placement

    def _placement(self, cells: Sequence[Cell], costs: Mapping[str, Cost]) -> Placement | Request:
        if self.cluster is not None and self.cluster.kind != "local":
            return self.cluster
        stored = self._stored(cells)
        missing = [costs[cell.key] for cell in cells if cell.key not in stored]
        return Placement.of(missing, self.device, self.workers)

    def compute(self, cells: Sequence[Cell], console: Console) -> list[Outcome]:
        """The outcome of every cell.

        cells: the cells.
        console: where their progress is shown.

        Raises a StudyError that is not one cell's own: an absent device or data set, an unwritable folder, a signal.
        """
        images, costs = check_images(cells, self.store, self.data_root)
        placement = self._placement(cells, costs)
        stored = self._stored(cells)
        if len(stored) < len(images):  # results that are complete may be for reading only
            ensure_writable(self.store.cells)
            usable_cache()
        for key in stored:
            self.store.clear(key)  # a run that was killed in between stored them and did not come to that
        device, workers = self._scale(placement)
        here = self.cluster is None and workers == 1  # one after another, in the study's order
        jobs = [
            Job(cell, self.store, run_cell, device, self.data_root, images[cell.key], self.command)
            for cell in (cells if here else _longest_first(cells, costs))
            if cell.key not in stored
        ]
        configs = {cell.key: cell.config() for cell in cells}
        forecast = Forecast({job.cell.key: costs[job.cell.key].seconds for job in jobs}, workers)
        with (
            publishing(self.mirror) as publish,
            tracking(self.tensorboard, self.store, titles(configs)) as track,
            display(titles(configs, common_prior=False), console, forecast) as show,
        ):

            def watch(event: Event) -> None:
                track(event)
                show(event)
                publish(event)

            present = [Outcome(key, "present") for key in images if key in stored]
            for outcome in present:
                watch(Event(outcome.key, outcome))
            if self.cluster is None or not jobs:
                return present + execute(jobs, workers, watch)
            with clusters.connected(
                self.cluster, self.store, workers, check=check_same_images, compiles=compiles(jobs)
            ) as pool:
                return present + execute(jobs, workers, watch, pool)

    def _stored(self, cells: Sequence[Cell]) -> set[str]:
        """Keys of the cells that are finished."""
        found = standings(self.store, [cell.key for cell in cells])
        return {key for key, standing in found.items() if standing.condition == "done"}

    def _scale(self, placement: Placement | Request) -> tuple[str, int]:
        """Device and number of workers; those of a scheduler are not known before it is asked."""
        if isinstance(placement, Placement):
            return placement.device, placement.workers
        return self.device, 1 if self.workers == "auto" else int(self.workers)


def _longest_first(cells: Sequence[Cell], costs: Mapping[str, Cost]) -> list[Cell]:
    """The cells as :mod:`study.design.schedule` takes them, so that no long one is left to the last worker alone; those
    that take equally long, or of which that is not known, stay in the study's order."""
    return sorted(cells, key=lambda cell: -(costs[cell.key].seconds or 0.0))


def _check_dask() -> None:
    try:
        clusters.connected  # noqa: B018  (its first use imports Dask)
    except ImportError as error:
        raise EnvironmentFault(
            "--scheduler and --cluster need Dask, which is not installed; `pip install latent-study[cluster]`"
        ) from error
