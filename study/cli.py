"""Command line: `latent-study run | status | summary | list`.

Verbs import what they need when they are called, so that help does not wait for torch.
"""

from __future__ import annotations

import shlex
import sys
import traceback
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from study.errors import ConfigurationError, PartialResults, StudyError
from study.paths import RESULTS, ensure_writable, studies

if TYPE_CHECKING:
    from rich.console import Console

    from study.cell import Cell
    from study.store import Store

DEFAULT_PRESET = "digits"

WIDTH = 160
"""Columns of a table that goes to a file or a pipe."""

app = typer.Typer(
    help="Why does a VAE reconstruct well and sample badly, and what fixes it? Studies across the latent dimension.",
    epilog="Exit codes: 2 configuration, 3 data, 4 environment, 5 partial results, 130 and 143 stopped by a signal.",
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
ResultsFolder = Annotated[Path, typer.Argument(metavar="[RESULTS]", help="Results folder, or one study's in it.")]


class Format(StrEnum):
    """How a table is written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


@app.command()
def run(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PRESET|FILE] [KEY=VALUE[,VALUE…] …]",
            help="A preset or YAML file, and settings that override it; several values make a factor.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the cells and compute nothing.")] = False,
    workers: Annotated[str, typer.Option(metavar="N|auto", help="Processes that compute cells side by side.")] = "auto",
    shard: Annotated[str, typer.Option(metavar="i/n", help="Compute only the i-th of n parts of the cells.")] = "1/1",
    results: Annotated[Path, typer.Option(metavar="DIR", help="Where results are kept.")] = RESULTS,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda", help="Where tensors live.")] = "auto",
    data_root: Annotated[
        Path | None, typer.Option(metavar="DIR", envvar="LATENT_STUDY_DATA", help="Where data sets are kept.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Compute the cells of a study, or what is missing of them, and print its summary.

    The same command resumes after an interruption and computes nothing twice.

    Examples:

    - `latent-study run`: the preset *digits*
    - `latent-study run mnist latent_dim=2,16 prior=vamp,standard_normal prior.components=200`
    - `latent-study run my_study.yaml train.epochs=3 --dry-run`
    """
    from rich.console import Console  # noqa: PLC0415

    from study.design import Study  # noqa: PLC0415
    from study.execution import resolve_device, resolve_workers, share  # noqa: PLC0415
    from study.store import Store  # noqa: PLC0415

    words = arguments or []
    source, assignments = (words[0], words[1:]) if words and "=" not in words[0] else (DEFAULT_PRESET, words)
    study = Study.load(source).override(assignments)
    cells = share(study.cells(), shard)
    store = Store(results / study.name)
    where = resolve_device(device)
    number = resolve_workers(workers, len(cells), where)
    if dry_run:
        _print_cells(store, cells)
        return
    console = Console(stderr=True)
    failed = _compute(cells, store, number, where, data_root, console)
    if failed < len(cells):
        _print_summary([store.root], Format.TABLE)
    typer.echo(f"\nresults: {store.root}")
    if failed:
        raise PartialResults(f"{failed} of {len(cells)} cells failed; `latent-study status {results}` tells why")


def _compute(
    cells: list[Cell], store: Store, workers: int, device: str, data_root: Path | None, console: Console
) -> int:
    """Number of cells that failed."""
    from study.display import display  # noqa: PLC0415
    from study.execution import execute  # noqa: PLC0415
    from study.experiment import run_cell  # noqa: PLC0415
    from study.job import Job  # noqa: PLC0415
    from study.labels import titles  # noqa: PLC0415
    from study.preflight import check_images  # noqa: PLC0415

    images = check_images(cells, store, data_root)
    ensure_writable(store.cells)
    command = shlex.join(["latent-study", *sys.argv[1:]])
    jobs = [Job(cell, store, run_cell, device, data_root, images[cell.key], command) for cell in cells]
    with display(titles({cell.key: cell.config() for cell in cells}), console) as show:
        outcomes = execute(jobs, workers, show)
    return sum(outcome.status == "failed" for outcome in outcomes)


@app.command()
def status(results: ResultsFolder = RESULTS, debug: Debug = False) -> None:
    """Say where each cell stands: done, corrupt, failed (and why), unfinished."""
    from study.labels import titles  # noqa: PLC0415
    from study.store import Store  # noqa: PLC0415

    for folder in studies(results):
        store = Store(folder)
        conditions = {key: store.condition(key) for key in store.known_keys()}
        names = titles({key: config for key in conditions if (config := store.config(key))})
        typer.echo(f"{folder}: {_counted(conditions.values())}")
        for key in [*names, *(conditions.keys() - names.keys())]:
            typer.echo(f"  {key}  {conditions[key]:<10}  {names.get(key, '')}")
            if conditions[key] == "failed":
                record = store.failure(key)
                typer.echo(f"{'':16}{record.get('message', 'for an unknown reason')}")
                typer.echo(f"{'':16}the same command tries again: {record.get('command', 'latent-study run')}")


@app.command()
def summary(
    results: ResultsFolder = RESULTS,
    format: Annotated[Format, typer.Option(help="How to write it.")] = Format.TABLE,
    debug: Debug = False,
) -> None:
    """Tabulate what was found, across latent dimensions and priors."""
    _print_summary(studies(results), format)


@app.command("list")
def list_(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[presets|priors|posteriors|likelihoods|networks|objectives|datasets|densities|settings]",
            help="One kind; all where none is named.",
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Describe what a study can be made of, with options, defaults and references."""
    from rich.console import Console  # noqa: PLC0415

    from study.catalogue import catalogue  # noqa: PLC0415

    Console(width=None if sys.stdout.isatty() else WIDTH).print(catalogue(what))


def _print_cells(store: Store, cells: list[Cell]) -> None:
    from study.labels import titles  # noqa: PLC0415

    names = titles({cell.key: cell.config() for cell in cells})
    conditions = {cell.key: store.condition(cell.key) for cell in cells}
    for key, condition in conditions.items():
        typer.echo(f"{key}  {condition:<10}  {names[key]}")
    typer.echo(f"{len(cells)} cells: {_counted(conditions.values())}")


def _counted(conditions: Iterable[str]) -> str:
    from study.store import Condition  # noqa: PLC0415

    counts = Counter(conditions)
    return ", ".join(f"{counts[name]} {name}" for name in get_args(Condition) if counts[name]) or "no cells"


def _print_summary(folders: list[Path], format: Format) -> None:
    import pandas as pd  # noqa: PLC0415

    from analysis.summaries import overview, summary  # noqa: PLC0415
    from study.store import Store  # noqa: PLC0415

    tables = []
    for folder in folders:
        trees = Store(folder).load()
        if trees:
            table = overview(trees) if format is Format.TABLE else summary(trees)
            table.insert(0, "study", folder.name)
            tables.append(table)
    if not tables:
        raise ConfigurationError(f"no finished cell in {folders[0]}; `latent-study status` tells where each stands")
    joined = pd.concat(tables, ignore_index=True)
    match format:
        case Format.TABLE:
            typer.echo(joined.to_string(index=False))
        case Format.CSV:
            typer.echo(joined.to_csv(index=False), nl=False)
        case Format.JSON:
            typer.echo(joined.to_json(orient="records", indent=2, force_ascii=False))


def main(arguments: list[str] | None = None) -> int:
    """Exit code of the command line; an error that a user can act on is one sentence on stderr."""
    words = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        return app(words, prog_name="latent-study", standalone_mode=False) or 0
    except (StudyError, typer.TyperException) as error:
        if "--debug" in words:
            traceback.print_exception(error)
        message = error.format_message() if isinstance(error, typer.TyperException) else str(error)
        typer.echo(f"error: {' '.join(message.split())}", err=True)
        return error.exit_code
