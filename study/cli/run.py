"""`latent-study run`: compute the cells of a study, or what is missing of them."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from study.design.cell import Cell
from study.design.cost import Cost, check_cost
from study.design.families import DATASETS
from study.design.labels import titles
from study.design.limits import CELLS_BUILT, CELLS_UNASKED
from study.design.study import Study
from study.errors import ConfigurationError, PartialResults, say, say_line
from study.paths import RESULTS
from study.run.division import check_device, check_platform, share, worker_count
from study.store import Store
from study.store.status import tally

DEFAULT_PRESET = "first_look"


def command(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PRESET|FILE] [KEY=VALUE[,VALUE…] …]",
            help="A preset or YAML file, and settings that override it; several values make a factor.",
        ),
    ] = None,
    hypothesis: Annotated[
        str | None,
        typer.Option(
            "--for",
            metavar="HYPOTHESIS",
            help="Compute the cells that decide it, such as H7, in place of a preset or file.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the cells and what each takes, and compute nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help=f"Do not ask about more than {CELLS_UNASKED:,} cells.")] = False,
    workers: Annotated[str, typer.Option(metavar="N|auto", help="Processes that compute cells side by side.")] = "auto",
    shard: Annotated[str, typer.Option(metavar="i/n", help="Compute only the i-th of n parts of the cells.")] = "1/1",
    results: Annotated[Path, typer.Option(metavar="DIR", help="Folder for results.")] = RESULTS,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda", help="Device for training and measurement.")] = "auto",
    data_root: Annotated[
        Path | None, typer.Option(metavar="DIR", envvar="LATENT_STUDY_DATA", help="Folder that holds the data sets.")
    ] = None,
    report: Annotated[bool, typer.Option("--report/--no-report", help="Write the answer page at the end.")] = True,
    tensorboard: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Log training curves and samples there for TensorBoard.")
    ] = None,
) -> None:
    """Compute the missing cells of a study, print the answer and write the answer page.

    The same command resumes after an interruption and computes nothing twice.

    Examples:

    - `latent-study run`: the preset *first_look*
    - `latent-study run mnist latent_dim=2,16 prior=vamp,standard_normal prior.components=200`
    - `latent-study run my_study.yaml train.updates=300 --dry-run`
    - `latent-study run --for H7 dataset=mnist`
    """
    words = arguments or []
    source, assignments = (words[0], words[1:]) if words and "=" not in words[0] else (None, words)
    if source and hypothesis:
        raise ConfigurationError(f"expected a study or --for; got {source} and --for {hypothesis}: leave one out")
    study = _named_study(source, hypothesis, assignments).override(assignments)
    if not yes:
        _ask(study)
    cells = share(study.cells(), shard)
    check_device(device)
    worker_count(workers)
    costs = {cell.key: Cost.of(cell) for cell in cells}
    for cell in cells:
        check_cost(cell, costs[cell.key])
    store = Store(results / study.name)
    if dry_run and len(cells) > CELLS_BUILT:
        _print_cells(store, cells, costs, "whether their parts fit together, and into memory, is checked when they run")
        return

    check_platform()
    # Seconds of torch, pandas and matplotlib, for which help, refusals and the cells of a large study do not wait.
    from study.cli.answer import PAGE, print_answers, write_report  # noqa: PLC0415
    from study.run.launch import Launch  # noqa: PLC0415

    launch = Launch(store, workers, device, data_root, tensorboard, shlex.join(["latent-study", *sys.argv[1:]]))
    costs, placement = launch.check(cells)
    if dry_run:
        _print_cells(store, cells, costs, str(placement))
        return
    outcomes = launch.compute(cells, Console(stderr=True))
    failed = sum(outcome.status == "failed" for outcome in outcomes)
    chapters = print_answers([store.root], with_table=True) if failed < len(cells) else []
    say(f"\nresults: {store.root}\nevery number: `{shlex.join(['latent-study', 'summary', str(store.root)])}`")
    if report and chapters:
        try:
            write_report(chapters, store.root / PAGE)
        except Exception as error:  # whatever it is, the results are stored and the run has done its work
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            say_line(f"no page: {reason}; `latent-study report {store.root}` tries again", err=True)
    if failed:
        raise PartialResults(f"{failed} of {len(cells)} cells failed; `latent-study status {results}` tells why")


def _named_study(source: str | None, hypothesis: str | None, assignments: list[str]) -> Study:
    """The study of a preset's name or a file, or that which decides a hypothesis on the data set that is assigned."""
    if hypothesis is None:
        return Study.load(source or DEFAULT_PRESET)
    from study.answers.hypotheses import needed_study  # noqa: PLC0415  (pandas and matplotlib, for this alone)

    datasets = [name for name in DATASETS if f"dataset={name}" in assignments]
    return needed_study(hypothesis, *datasets)


def _ask(study: Study) -> None:
    """Asks on a terminal, and refuses elsewhere, where a study has very many cells."""
    if (size := study.size()) <= CELLS_UNASKED:
        return
    many = f"the study {study.name} has {size:,} cells, more than {CELLS_UNASKED:,}"
    if not (sys.stdin.isatty() and typer.confirm(f"{many}; go on?", err=True)):
        raise ConfigurationError(f"{many}; give its factors fewer values, or go on with --yes")


def _print_cells(store: Store, cells: list[Cell], costs: Mapping[str, Cost], remark: str) -> None:
    names = titles({cell.key: cell.config() for cell in cells})
    conditions = {cell.key: store.condition(cell.key) for cell in cells}
    for key, condition in conditions.items():
        say_line(f"{key}  {condition:<10}  {names[key]}  ({costs[key]})")
    say(f"{len(cells)} cells: {tally(conditions.values())}; {remark}")
