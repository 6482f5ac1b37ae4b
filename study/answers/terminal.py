"""Terminal: the plain answer in at most ten lines, and a table of the cells that fits the width there is."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace

from analysis.interval import Interval
from analysis.numerals import DIGITS, NONE, plus_minus
from analysis.summaries import over_seeds
from study.answers.conclusions import Conclusion, Part, Statement
from study.answers.conclusions.levels import difference, level
from study.answers.conclusions.repair import best, repairs
from study.answers.results import Results, StoredCell

WIDEST = 100
"""Columns that are used at most."""
NARROWEST = 80
"""Columns that are used at least, whatever the terminal says."""
LINES = {"What happens": 3, "Why": 2, "What helps": 3, "How sure": 2}
"""Lines that each part of the answer may take."""
LEAST_LABEL = 14

_HEADS = ("D", "rate", "error", "F prior", "F aggregate", "F repaired", "gap")
EXPLAINED = (
    "D: latent dimensions; rate: nats per image; error: held-out squared error per pixel; F: squared Fréchet distance "
    "to real images; gap: F prior less F aggregate. Means over trainings ± their standard error; of a single "
    "training, ± that of its evaluation."
)


def answer_lines(conclusion: Conclusion, width: int) -> list[str]:
    """The answer, a part after the other: of each as many statements, from the first, as its lines hold.

    Args:
        conclusion: the answer.
        width: columns of the terminal.
    """
    columns = _columns(width)
    return [line for part in conclusion.parts for line in _lines(part, columns)]


def _lines(part: Part, columns: int) -> list[str]:
    def wrapped(text: str) -> list[str]:
        whole = f"{part.title}: {text}"
        return textwrap.wrap(whole, columns, subsequent_indent="  ", max_lines=LINES[part.title], placeholder=" …")

    taken: list[str] = []
    for statement in part.statements:
        longer = " ".join([*taken, _brief(statement)])
        if taken and " ".join(line.strip() for line in wrapped(longer)) != f"{part.title}: {longer}":
            continue
        taken.append(_brief(statement))
    return wrapped(" ".join(taken))


def _brief(statement: Statement) -> str:
    """The statement with the first of its groups of numbers; the page has all of them."""
    return str(replace(statement, numbers=statement.numbers.partition("; ")[0]))


def cell_table(results: Results, labels: Mapping[str, str], width: int) -> str:
    """A line or more per cell: its label, wrapped, and the numbers that tell the story.

    results: cells of one data set.
    labels: of each cell by its key.
    width: columns of the terminal; where they are too few for standard errors, means alone are shown.
    """
    columns = _columns(width)
    cells = sorted(results, key=lambda cell: (labels[cell.key], cell.settings["latent_dim"]))
    rows = [[str(cell.settings["latent_dim"]), *_numbers(cell, results)] for cell in cells]
    widths = _widths(rows)
    if columns - sum(widths) - 2 * len(widths) < LEAST_LABEL:
        rows = [[text.partition("±")[0] for text in row] for row in rows]
        widths = _widths(rows)
    room = min(max(len(label) for label in ["prior", *labels.values()]), columns - sum(widths) - 2 * len(widths))
    lines = [_line("prior", _HEADS, room, widths)]
    for cell, row in zip(cells, rows, strict=True):
        first, *rest = textwrap.wrap(labels[cell.key], room) or [""]
        lines += [_line(first, row, room, widths), *(f"  {line}"[:columns] for line in rest)]
    return "\n".join([*lines, *textwrap.wrap(EXPLAINED, columns)])


def _columns(width: int) -> int:
    return max(NARROWEST, min(WIDEST, width))


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(_HEADS, *rows, strict=True)]


def _line(label: str, row: Sequence[str], room: int, widths: Sequence[int]) -> str:
    cells = [text.rjust(width) for text, width in zip(row, widths, strict=True)]
    return "  ".join([label.ljust(room), *cells]).rstrip()


def _numbers(cell: StoredCell, results: Results) -> list[str]:
    prior, aggregate = level(cell, "prior"), level(cell, "aggregate_train")
    repair = best(repairs(results, cell))
    means: list[Interval | None] = [
        _mean(cell, "aggregate/train/rate"),
        _mean(cell, "aggregate/held_out/reconstruction_error"),
        prior.mean if prior else None,
        aggregate.mean if aggregate else None,
        repair.level.mean if repair else None,
        difference(prior, aggregate) if prior and aggregate else None,
    ]
    return [_short(mean) if mean else NONE for mean in means]


def _short(mean: Interval) -> str:
    """``value±error`` to three significant digits of the value; the value alone where it has no error."""
    return plus_minus(mean.value, mean.standard_error, DIGITS).replace(" ± ", "±")


def _mean(cell: StoredCell, estimate: str) -> Interval | None:
    numbers = cell.numbers(estimate)
    return None if numbers is None else over_seeds(*numbers.T)
