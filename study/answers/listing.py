"""Listing: rows of a label and its numbers, in sections with titles, as wide as the terminal is."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from analysis.numerals import DIGITS, plus_minus

WIDEST = 100
"""Columns that are used at most."""
NARROWEST = 80
"""Columns that are used at least, whatever the terminal says."""


class Row(NamedTuple):
    """One row.

    label: its words.
    numbers: the text of each: a value, ``value±error``, or ``value [lower, upper]``.
    """

    label: str
    numbers: Sequence[str]


def listing(heads: Sequence[str], sections: Mapping[str, Sequence[Row]], caption: str, width: int) -> str:
    """The rows of all sections under one line of heads, and the caption; labels go on below their numbers, or stand
    above them where they have no room beside, and no setting is broken.

    Args:
        heads: of the labels, and of each number.
        sections: rows by the title above them; a section without a title has the empty one.
        caption: what the heads mean.
        width: columns of the terminal; where they are too few for errors and intervals, values stand alone.
    """
    columns = columns_in(width)
    labels = [row.label for rows in sections.values() for row in rows]
    if _room(heads, sections, columns) < max(len(label.partition(" ")[0]) for label in labels):
        sections = {title: [_without_errors(row) for row in rows] for title, rows in sections.items()}
    widths, room = _widths(heads, sections), _room(heads, sections, columns)
    room = min(max(map(len, [heads[0], *labels])), room)
    lines = [_line(heads[0], heads[1:], room, widths)]
    for title, rows in sections.items():
        lines += ["", *wrapped(title, columns)] if title else []
        for label, numbers in rows:
            beside = textwrap.wrap(label, room, break_long_words=False, break_on_hyphens=False)[0]
            if len(beside) > room:
                lines += [*wrapped(label, columns), _line("", numbers, room, widths)]
            else:
                below = label.removeprefix(beside).strip()
                lines += [_line(beside, numbers, room, widths), *wrapped(below, columns, "  ")]
    space = [""] if any(sections) else []
    return "\n".join([*lines, *space, *wrapped(caption, columns, further="")])


def wrapped(text: str, columns: int, first: str = "", further: str = "  ") -> list[str]:
    """Lines in which no number is without its error.

    Args:
        text: in one line.
        columns: of each line, at most.
        first: what the first line begins with.
        further: what each other line begins with.
    """
    joined = text.replace(" ± ", "\xa0±\xa0")
    lines = textwrap.wrap(joined, columns, initial_indent=first, subsequent_indent=further, break_on_hyphens=False)
    return [line.replace("\xa0", " ") for line in lines]


def columns_in(width: int) -> int:
    """Columns to fill of a terminal with ``width`` of them."""
    return max(NARROWEST, min(WIDEST, width))


def with_error(value: float, error: float) -> str:
    """``value±error`` to three significant digits of the value; the value alone where it has no error.

    Args:
        value: the number.
        error: its standard error, in the same unit.
    """
    return plus_minus(value, error, DIGITS).replace(" ± ", "±")


def _without_errors(row: Row) -> Row:
    return Row(row.label, [re.split("±| \\[", text)[0] for text in row.numbers])


def _room(heads: Sequence[str], sections: Mapping[str, Sequence[Row]], columns: int) -> int:
    """Columns that are left for labels, one at least; two more stand before each number."""
    widths = _widths(heads, sections)
    return max(1, columns - sum(widths) - 2 * len(widths))


def _widths(heads: Sequence[str], sections: Mapping[str, Sequence[Row]]) -> list[int]:
    numbers = [row.numbers for rows in sections.values() for row in rows]
    return [max(map(len, column)) for column in zip(heads[1:], *numbers, strict=True)]


def _line(label: str, numbers: Sequence[str], room: int, widths: Sequence[int]) -> str:
    cells = [text.rjust(width) for text, width in zip(numbers, widths, strict=True)]
    return "  ".join([label.ljust(room), *cells]).rstrip()
