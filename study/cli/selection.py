"""Selection: the cells that a command names, for the verbs that compute, plan and divide them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from study.design.cell import Cell
from study.design.cost import Cost, check_cost
from study.design.labels import titles
from study.design.limits import CELLS_UNASKED
from study.design.notation import parse_override
from study.design.study import Study
from study.errors import ConfigurationError, say, say_line
from study.store import Store
from study.store.index import standings
from study.store.status import tally

DEFAULT_PRESET = "first_look"

StudyWords = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[PRESET|FILE] [KEY=VALUE[,VALUE…] …]",
        help="A preset or YAML file, and settings that override it; several values make a factor.",
    ),
]
Hypothesis = Annotated[
    str | None,
    typer.Option(
        "--for",
        metavar="HYPOTHESIS",
        help="The cells that decide it, such as H7, in place of a preset or file.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help=f"Do not ask about more than {CELLS_UNASKED:,} cells.")]
Results = Annotated[
    str, typer.Option(metavar="DIR|URL", help="Folder for results, or a URL such as s3://bucket/results.")
]
Workers = Annotated[str, typer.Option(metavar="N|auto", help="Processes that compute cells side by side.")]
Device = Annotated[str, typer.Option(metavar="auto|cpu|cuda", help="Device for training and measurement.")]


def selected(words: Sequence[str], hypothesis: str | None = None, *, yes: bool) -> tuple[Study, list[Cell]]:
    """The study that a command names, and its cells.

    words: a preset's name or a file first, and settings that override it.
    hypothesis: one whose cells to take in place of a preset or file.
    yes: whether to take very many cells without a question; else one is asked on a terminal, and they are refused
        elsewhere.

    Raises ConfigurationError.
    """
    source, assignments = (words[0], words[1:]) if words and "=" not in words[0] else (None, words)
    if source and hypothesis:
        raise ConfigurationError(f"expected a study or --for; got {source} and --for {hypothesis}: leave one out")
    study = _named(source, hypothesis, assignments).override(assignments)
    if not yes:
        _ask(study)
    cells = study.cells()
    for cell in cells:
        check_cost(cell, Cost.of(cell))
    return study, cells


def _named(source: str | None, hypothesis: str | None, assignments: Sequence[str]) -> Study:
    """The study of a preset's name or a file, or that which decides a hypothesis on the data set that is assigned."""
    if hypothesis is None:
        return Study.load(source or DEFAULT_PRESET)
    from study.answers.hypotheses import needed_study  # noqa: PLC0415  (pandas and matplotlib, for this alone)

    chosen = [value for key, values in map(parse_override, assignments) if key == "dataset" for value in values]
    names = [value["name"] if isinstance(value, dict) and "name" in value else str(value) for value in chosen]
    if len(names) > 1:
        raise ConfigurationError(f"--for takes one data set at a time; got {', '.join(names)}: give one of them")
    return needed_study(hypothesis, *names)


def _ask(study: Study) -> None:
    """Asks on a terminal, and refuses elsewhere, where a study has very many cells."""
    if (size := study.size()) <= CELLS_UNASKED:
        return
    many = f"the study {study.name} has {size:,} cells, more than {CELLS_UNASKED:,}"
    if not (sys.stdin.isatty() and typer.confirm(f"{many}; go on?", err=True)):
        raise ConfigurationError(f"{many}; give its factors fewer values, or go on with --yes")


def print_cells(store: Store, cells: Sequence[Cell], costs: Mapping[str, Cost], remark: str) -> None:
    """Prints the cells, where each stands and what it takes, and how many there are.

    store: their results.
    cells: the cells.
    costs: of each, by key.
    remark: the end of the last line.
    """
    names = titles({cell.key: cell.config() for cell in cells})
    conditions = {key: found.condition for key, found in standings(store, [cell.key for cell in cells]).items()}
    for key, condition in conditions.items():
        say_line(f"{key}  {condition:<10}  {names[key]}  ({costs[key]})")
    say(f"{len(cells)} cells: {tally(conditions.values())}; {remark}")
