"""`latent-study script`: a study as a job of a batch system."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from study.cli.selection import Results, StudyWords, Yes, selected
from study.design.plan import Plan
from study.errors import ConfigurationError, say
from study.paths import RESULTS, is_url
from study.run.checking import check_all
from study.run.division import Shard
from study.run.slurm import ArrayJob


class System(StrEnum):
    """Batch systems that scripts are written for."""

    SLURM = "slurm"


class Chip(StrEnum):
    """Devices that a script can ask a batch system for."""

    CPU = "cpu"
    CUDA = "cuda"


def command(
    system: Annotated[System, typer.Argument(help="The batch system.")],
    arguments: StudyWords = None,
    shards: Annotated[int, typer.Option(min=1, max=10_000, help="Tasks of the array.")] = 8,
    workers: Annotated[int, typer.Option(min=1, max=10_000, help="Processes, and cores, of each task.")] = 1,
    device: Annotated[Chip, typer.Option(help="Device for training and measurement.")] = Chip.CPU,
    results: Results = str(RESULTS),
    sbatch: Annotated[
        list[str] | None, typer.Option(metavar="OPTION", help="For sbatch, as --partition=short; may be repeated.")
    ] = None,
    yes: Yes = False,
) -> None:
    """Print a script that submits a study as an array job, one shard for each task, and gathers the results.

    Time and memory are three times what `latent-study plan` expects of the longest shard.

    - `latent-study script slurm digits --shards 16 --sbatch=--partition=short`
    """
    words = arguments or []
    study, cells = selected(words, yes=yes)
    if shards > len(cells):
        raise ConfigurationError(f"{study.name} has {len(cells)} cells; give at most as many --shards, got {shards}")
    costs = check_all(cells)
    seconds = {key: cost.seconds for key, cost in costs.items()}
    plans = [Plan(Shard(part, shards).of(cells, seconds), costs, workers) for part in range(1, shards + 1)]
    place = results if is_url(results) else str(Path(results))
    say(ArrayJob(words, study.name, plans, place, device, sbatch or ()).script().rstrip("\n"))
