"""Verdicts: what the finished cells say of every hypothesis, data set by data set."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from study.answers.formats import Format
from study.answers.hypotheses import Case, hypotheses
from study.answers.results import Results
from study.answers.texts import text_of

COLUMNS = (
    "dataset",
    "hypothesis",
    "decision",
    "claim",
    "effect",
    "value",
    "lower",
    "upper",
    "seeds",
    "why",
    "scope",
    "needs",
)


def verdicts(results: Results) -> pd.DataFrame:
    """One line per data set and hypothesis, see :func:`case_table`."""
    cases = [each.examine(of_dataset) for of_dataset in results.by("dataset").values() for each in hypotheses()]
    return case_table(cases)


def case_table(cases: Iterable[Case]) -> pd.DataFrame:
    """One line per case, with the columns COLUMNS.

    ``value`` is the effect and ``lower`` and ``upper`` the ends of its 95 % interval over ``seeds``, NaN where cells
    are missing; ``needs`` tells which, and how to compute them.
    """
    lines = []
    for case in cases:
        verdict, (lower, upper) = asdict(case.verdict), case.verdict.interval
        about = {"hypothesis": case.hypothesis.id, "claim": case.hypothesis.claim, "needs": case.needs}
        lines.append({"dataset": case.dataset} | about | verdict | {"lower": lower, "upper": upper})
    return pd.DataFrame(lines, columns=list(COLUMNS))


def verdict_text(folders: Sequence[Path], format: Format, width: int | None) -> str:
    """The verdicts of studies as text.

    Args:
        folders: those of the studies.
        format: how it is written.
        width: of a table, in characters; None: as wide as the terminal.

    Raises:
        ConfigurationError: if no cell is finished.
    """
    table = verdicts(Results.some(folders))
    if format is not Format.TABLE:
        return text_of(table, format)
    console = Console(width=width, file=io.StringIO(), color_system=None)
    with console.capture() as text:
        for _, of_dataset in table.groupby("dataset", sort=False):
            console.print(terminal_table(of_dataset))
    return text.get().rstrip("\n")


def terminal_table(table: pd.DataFrame) -> Table:
    """The verdicts of one data set as a table to read."""
    lines = Table(box=box.HORIZONTALS, show_lines=True, expand=True)
    for name, ratio in (("", None), ("claim", 4), ("verdict", None), ("seeds", None), ("why", 7), ("rests on", 3)):
        lines.add_column(name, ratio=ratio, overflow="fold", justify="right" if name == "seeds" else "left")
    lines.title = ", ".join(table["dataset"].unique())
    for line in table.to_dict("records"):
        seeds = str(line["seeds"] or "")
        words = [line["hypothesis"], line["claim"], line["decision"], seeds, line["why"], line["scope"]]
        lines.add_row(*(Text(str(word)) for word in words))
    return lines
