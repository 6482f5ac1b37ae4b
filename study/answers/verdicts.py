"""Verdicts: what the finished cells say of every hypothesis, data set by data set."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis.numerals import probability
from study.answers.formats import Format
from study.answers.hypotheses import Case, cases
from study.answers.results import Results
from study.answers.texts import text_of

COLUMNS = (
    "dataset",
    "hypothesis",
    "family",
    "decision",
    "probability",
    "p_value",
    "adjusted",
    "claim",
    "effect",
    "value",
    "lower",
    "upper",
    "seeds",
    "why",
    "decides",
    "scope",
    "needs",
)

OF_VERDICT = ("decision", "probability", "p_value", "adjusted", "effect", "value", "seeds", "why", "decides", "scope")
"""Columns that are what they are called of a verdict."""


def verdicts(results: Results) -> pd.DataFrame:
    """One line per data set and hypothesis, see :func:`case_table`."""
    return case_table(case for of_dataset in results.by("dataset").values() for case in cases(of_dataset))


def case_table(cases: Iterable[Case]) -> pd.DataFrame:
    """One line per case, with the columns COLUMNS.

    ``family`` says how much the verdict can bear; ``probability`` is the confidence level of the region that the claim
    names, at least; ``p_value`` is two-sided, for the claim or against it, whichever the estimate favours, and
    ``adjusted`` the same by Holm over the primary family. ``value`` is the effect and ``lower`` and ``upper`` the ends
    of its 95 % interval over ``seeds``, NaN where cells are missing; ``decides`` says which runs would decide what is
    undecided, and ``needs`` which cells the claim needs, and how to compute them.
    """
    lines = []
    for case in cases:
        verdict, (lower, upper) = case.verdict, case.verdict.interval
        about = {"hypothesis": case.hypothesis.id, "family": case.hypothesis.family, "claim": case.hypothesis.claim}
        line = {"dataset": case.dataset, "needs": case.needs, "lower": lower, "upper": upper}
        lines.append(line | about | {name: getattr(verdict, name) for name in OF_VERDICT})
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
    for name, ratio in (("", None), ("claim", 4), ("verdict", None), ("conf.", None), ("p", None), ("why", 7)):
        lines.add_column(name, ratio=ratio, overflow="fold", justify="right" if name in {"conf.", "p"} else "left")
    lines.title = ", ".join(table["dataset"].unique())
    lines.caption = (
        "conf.: confidence level of the region that the claim names, at least, over seeds and evaluation; it is not "
        "adjusted, and no posterior probability. p: two-sided p-value for the claim or against it, whichever the "
        "estimate favours; of primary claims, which have a *, adjusted for each other (Holm). A check is true by "
        "construction and no evidence; all others are exploratory."
    )
    for line in table.to_dict("records"):
        primary, check = (line["family"] == name for name in ("primary", "check"))
        verdict = f"{line['decision']}{' (check)' if check else ''}".replace(" ", "\n")
        probabilities = [_probability(line[name]) for name in ("probability", "adjusted" if primary else "p_value")]
        needed = f"\nwould decide it: {line['decides']}" if line["decides"] and line["seeds"] else ""
        seeds = f"\n{line['seeds']} seeds; {line['scope']}" if line["seeds"] else ""
        words = [f"{line['hypothesis']}{' *' if primary else ''}", line["claim"], verdict, *probabilities]
        lines.add_row(*(Text(str(word)) for word in [*words, f"{line['why']}{seeds}{needed}"]))
    return lines


def _probability(value: float) -> str:
    """Two digits, without the zero before the point; empty where there is none."""
    return "" if math.isnan(value) else probability(value, 2).replace(" ", "").replace("0.", ".")
