"""Command line: `latent-study run | status | summary | compare | effects | verdict | report | list`.

This file has the words: verbs, options and their help. What a verb does lies in a wing of the package, which it imports
when it is called: help, `status` and `list` answer without waiting seconds for torch, pandas or xarray.
"""

from __future__ import annotations

import importlib.metadata
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from study.answers.formats import Comparison, Format
from study.design.cell import Cell
from study.design.cost import Cost, check_cost
from study.design.labels import titles
from study.design.limits import CELLS_BUILT, CELLS_UNASKED
from study.design.study import Study
from study.errors import ConfigurationError, PartialResults, reported, say, say_line
from study.paths import RESULTS, studies
from study.store import Store
from study.store.status import status_lines, tally

DEFAULT_PRESET = "first_look"

PAGE = "report.html"

WIDTH = 160
"""Columns of a table that goes to a file or a pipe."""

app = typer.Typer(
    help="Why does a VAE reconstruct well and sample badly, and what fixes it? Studies across the latent dimension.",
    epilog="Exit codes: 2 configuration, 3 data, 4 environment, 5 partial results, 129, 130 and 143 stopped by a "
    "signal. With `--debug`, an error shows its traceback.",
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    if version:
        typer.echo(importlib.metadata.version("latent-study"))
        raise typer.Exit


ResultsFolder = Annotated[Path, typer.Argument(metavar="[RESULTS]", help="Results folder, or one study's in it.")]


@app.command()
def run(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PRESET|FILE] [KEY=VALUE[,VALUE…] …]",
            help="A preset or YAML file, and settings that override it; several values make a factor.",
        ),
    ] = None,
    hypothesis: Annotated[
        str | None,
        typer.Option("--for", metavar="HYPOTHESIS", help="The cells that decide it, in place of a preset or file: H7."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the cells and what each takes, and compute nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help=f"Do not ask about more than {CELLS_UNASKED:,} cells.")] = False,
    workers: Annotated[str, typer.Option(metavar="N|auto", help="Processes that compute cells side by side.")] = "auto",
    shard: Annotated[str, typer.Option(metavar="i/n", help="Compute only the i-th of n parts of the cells.")] = "1/1",
    results: Annotated[Path, typer.Option(metavar="DIR", help="Where results are kept.")] = RESULTS,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda", help="Where tensors live.")] = "auto",
    data_root: Annotated[
        Path | None, typer.Option(metavar="DIR", envvar="LATENT_STUDY_DATA", help="Where data sets are kept.")
    ] = None,
    report: Annotated[bool, typer.Option("--report/--no-report", help="Write the answer page at the end.")] = True,
    tensorboard: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Log training curves and samples there for TensorBoard.")
    ] = None,
) -> None:
    """Compute the cells of a study, or what is missing of them, print the answer and write the answer page.

    The same command resumes after an interruption and computes nothing twice.

    Examples:

    - `latent-study run`: the preset *first_look*
    - `latent-study run mnist latent_dim=2,16 prior=vamp,standard_normal prior.components=200`
    - `latent-study run my_study.yaml train.epochs=3 --dry-run`
    - `latent-study run --for H7 dataset=mnist`
    """
    from study.run.division import check_device, share, worker_count  # noqa: PLC0415

    words = arguments or []
    source, assignments = (words[0], words[1:]) if words and "=" not in words[0] else (None, words)
    if source and hypothesis:
        raise ConfigurationError(f"expected a study or --for; got {source} and --for {hypothesis}: leave one out")
    study = _named_study(source, hypothesis).override(assignments)
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
        _print_cells(store, cells, costs)
        return

    from rich.console import Console  # noqa: PLC0415

    from study.run.building import check_all  # noqa: PLC0415
    from study.run.launch import Launch  # noqa: PLC0415

    costs = check_all(cells)
    launch = Launch(store, workers, device, data_root, tensorboard, shlex.join(["latent-study", *sys.argv[1:]]))
    launch.check(cells)
    if dry_run:
        _print_cells(store, cells, costs)
        return
    outcomes = launch.compute(cells, Console(stderr=True))
    failed = sum(outcome.status == "failed" for outcome in outcomes)
    if failed < len(cells):
        _print_answers([store.root], with_table=True)
    say(f"\nresults: {store.root}; `latent-study summary {store.root}` has every number")
    if report and failed < len(cells):
        try:
            _write_report([store.root], store.root / PAGE)
        except Exception as error:  # whatever it is, the results are stored and the run has done its work
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            say_line(f"no page: {reason}; `latent-study report {store.root}` tries again", err=True)
    if failed:
        raise PartialResults(f"{failed} of {len(cells)} cells failed; `latent-study status {results}` tells why")


@app.command()
def status(results: ResultsFolder = RESULTS) -> None:
    """Say where each cell stands: done, corrupt, failed (and why), unfinished."""
    for folder in studies(results):
        for line in status_lines(folder):
            say_line(line)


@app.command()
def summary(
    results: ResultsFolder = RESULTS,
    format: Annotated[Format, typer.Option(help="How to write it.")] = Format.TABLE,
    var: Annotated[
        list[str] | None, typer.Option(metavar="QUANTITY", help="Only these, repeated or as a pattern: kl, log_px_*.")
    ] = None,
    by: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="One column per value of it: latent_dim, prior, row, …")
    ] = None,
) -> None:
    """Tabulate what was found, across latent dimensions and priors.

    Examples:

    - `latent-study summary --var kl --var rate --by latent_dim`
    - `latent-study summary --format csv`: every estimate with its error, n, draws, bound and flags
    """
    from study.answers.tables import summary_text  # noqa: PLC0415

    say(summary_text(studies(results), format, var or [], by))


@app.command()
def compare(
    results: Annotated[list[Path] | None, typer.Argument(metavar="[RESULTS…]", help="Results folders.")] = None,
    by: Annotated[Comparison | None, typer.Option(help="One of the two; csv, json and latex write the first.")] = None,
    format: Annotated[Format, typer.Option(help="How to write it.")] = Format.TABLE,
) -> None:
    """Rank remedies by the share of the quality gap that they close, and models by held-out log p(x).

    Cells of several folders are compared together where nothing but the remedy differs, paired by seed.
    """
    from study.answers.tables import comparison_text  # noqa: PLC0415

    folders = [folder for place in results or [RESULTS] for folder in studies(place)]
    say(comparison_text(folders, format, by))


@app.command("effects")
def effects_(
    results: ResultsFolder = RESULTS,
    outcome: Annotated[str, typer.Option(metavar="kl|quality_gap|log_px", help="What is regressed.")] = "kl",
    format: Annotated[Format, typer.Option(help="How to write it.")] = Format.TABLE,
) -> None:
    """Regress an outcome on log D, rate and prior over trained replicates (NUTS, about half a minute)."""
    from study.answers.effects import effects, store_effects  # noqa: PLC0415
    from study.answers.results import Results  # noqa: PLC0415
    from study.answers.tables import text_of  # noqa: PLC0415

    folders = studies(results)
    for dataset, own in Results.some(folders).by("dataset").items():
        table = effects(own, outcome)
        say(text_of(table, format))
        store_effects(table, folders[0], dataset, outcome)


@app.command()
def verdict(
    results: Annotated[list[Path] | None, typer.Argument(metavar="[RESULTS…]", help="Results folders.")] = None,
    format: Annotated[Format, typer.Option(help="How to write it.")] = Format.TABLE,
) -> None:
    """Decide every hypothesis: supported, refuted or undecided; `--format csv` has the effects, and what is missing."""
    from study.answers.verdicts import verdict_text  # noqa: PLC0415

    folders = [folder for place in results or [RESULTS] for folder in studies(place)]
    say(verdict_text(folders, format, None if sys.stdout.isatty() else WIDTH))


@app.command("report")
def report_(
    results: ResultsFolder = RESULTS,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Where; report.html in RESULTS if not.")] = None,
    figures: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Figures (SVG, PDF, PNG, captions) and tables (CSV) as files.")
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
) -> None:
    """Write the answer page: one HTML file to look, compare and trust, without network."""
    folders = studies(results)
    page = results / PAGE if output is None else output
    if page.is_dir():
        raise ConfigurationError(f"--output is the page's file; got the folder {page}: add a name, such as {PAGE}")
    _print_answers(folders)
    path = _write_report(folders, page, figures)
    if open_:
        typer.launch(path.absolute().as_uri())


@app.command("list")
def list_(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[presets|priors|posteriors|likelihoods|networks|objectives|datasets|densities|settings]",
            help="One kind; all where none is named.",
        ),
    ] = None,
) -> None:
    """Describe what a study can be made of, with options, defaults and references."""
    from rich.console import Console  # noqa: PLC0415

    from study.design.catalogue import catalogue  # noqa: PLC0415

    Console(width=None if sys.stdout.isatty() else WIDTH).print(catalogue(what))


def _named_study(source: str | None, hypothesis: str | None) -> Study:
    """The study of a preset's name or a file, or that which decides a hypothesis."""
    if hypothesis is None:
        return Study.load(source or DEFAULT_PRESET)
    from study.answers.hypotheses import needed_study  # noqa: PLC0415

    return needed_study(hypothesis)


def _ask(study: Study) -> None:
    """Asks on a terminal, and refuses elsewhere, where a study has very many cells."""
    if (size := study.size()) <= CELLS_UNASKED:
        return
    many = f"the study {study.name} has {size:,} cells, more than {CELLS_UNASKED:,}"
    if not (sys.stdin.isatty() and typer.confirm(f"{many}; go on?", err=True)):
        raise ConfigurationError(f"{many}; give its factors fewer values, or go on with --yes")


def _print_cells(store: Store, cells: list[Cell], costs: Mapping[str, Cost]) -> None:
    names = titles({cell.key: cell.config() for cell in cells})
    conditions = {cell.key: store.condition(cell.key) for cell in cells}
    for key, condition in conditions.items():
        say_line(f"{key}  {condition:<10}  {names[key]}  ({costs[key]})")
    unchecked = "" if len(cells) <= CELLS_BUILT else "; whether their parts fit together is checked when they run"
    say(f"{len(cells)} cells: {tally(conditions.values())}{unchecked}")


def _print_answers(folders: list[Path], *, with_table: bool = False) -> None:
    """The plain answer of each data set, and the table of its cells where that is wanted."""
    from study.answers.report import chapters  # noqa: PLC0415
    from study.answers.terminal import WIDEST, answer_lines, cell_table  # noqa: PLC0415

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDEST
    for chapter in chapters(folders):
        say("\n".join([f"\n{chapter.dataset}", *answer_lines(chapter.conclusion, width)]))
        if with_table:
            say(f"\n{cell_table(chapter.results, chapter.labels, width)}")


def _write_report(folders: list[Path], path: Path, figures: Path | None = None) -> Path:
    """The page, and the files where a folder for them is named."""
    from study.answers.report import chapters, write_files, write_page  # noqa: PLC0415

    found = chapters(folders)
    write_page(found, path)
    say(f"page: {path}")
    if figures is not None:
        say(f"figures and tables: {write_files(found, figures)}")
    return path


def main(arguments: list[str] | None = None) -> int:
    """Exit code of the command line; an error that a user can act on is one sentence on stderr."""
    words = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    plain = [word for word in words if word != "--debug"]
    return reported(lambda: app(plain, prog_name="latent-study", standalone_mode=False), debug=plain != words)


if __name__ == "__main__":
    sys.exit(main())
