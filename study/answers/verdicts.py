"""Verdicts: what the finished cells say of every hypothesis, data set by data set."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from study.answers.formats import Format
from study.answers.hypotheses import HYPOTHESES, Hypothesis
from study.answers.results import Results
from study.answers.tables import text_of
from study.errors import ConfigurationError

COLUMNS = (
    "dataset",
    "hypothesis",
    "outcome",
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


def hypotheses() -> list[Hypothesis]:
    """One of each hypothesis, by number."""
    return [kind() for kind in sorted(HYPOTHESES.values(), key=lambda kind: int(kind.id.removeprefix("H")))]


def verdicts(results: Results) -> pd.DataFrame:
    """One line per data set and hypothesis, with the columns COLUMNS.

    ``value`` is the effect and ``lower`` and ``upper`` the ends of its 95 % interval over ``seeds``, NaN where cells
    are missing; ``needs`` tells which, and how to compute them.
    """
    lines = []
    for dataset in results.levels("dataset"):
        own = results.where(dataset=dataset)
        for hypothesis in hypotheses():
            verdict = hypothesis.verdict(own)
            ends = dict(zip(("lower", "upper"), verdict.interval, strict=True))
            told = {name: getattr(verdict, name) for name in ("outcome", "effect", "value", "seeds", "why", "scope")}
            about = {"hypothesis": hypothesis.id, "claim": hypothesis.claim, "needs": hypothesis.needs}
            lines.append({"dataset": dataset} | about | told | ends)
    return pd.DataFrame(lines, columns=list(COLUMNS))


def told(folders: Sequence[Path], format: Format, width: int | None) -> str:
    """The verdicts of studies as text; as a table, ``width`` columns wide or as wide as the terminal.

    Raises:
        ConfigurationError: if no cell is finished.
    """
    tables = [verdicts(own) for own in Results.load(folders).by("dataset").values()]
    if not tables:
        raise ConfigurationError(f"no finished cell in {folders[0]}; `latent-study status` tells where each stands")
    if format is not Format.TABLE:
        return text_of(pd.concat(tables, ignore_index=True), format)
    console = Console(width=width, file=io.StringIO())
    with console.capture() as text:
        for table in tables:
            console.print(printed(table))
    return text.get().rstrip("\n")


def printed(table: pd.DataFrame) -> Table:
    """The verdicts as a table to read."""
    shown = Table(box=box.HORIZONTALS, show_lines=True, expand=True)
    for name, ratio in (("", None), ("claim", 4), ("verdict", None), ("seeds", None), ("why", 7), ("rests on", 3)):
        shown.add_column(name, ratio=ratio, overflow="fold", justify="right" if name == "seeds" else "left")
    shown.title = ", ".join(table["dataset"].unique())
    for line in table.to_dict("records"):
        seeds = str(line["seeds"] or "")
        words = [line["hypothesis"], line["claim"], line["outcome"], seeds, line["why"], line["scope"]]
        shown.add_row(*(Text(str(word)) for word in words))
    return shown
