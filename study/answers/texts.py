"""Texts: a table as text: columns to read, or CSV, JSON and LaTeX to go on with."""

from __future__ import annotations

from functools import partial

import pandas as pd

from analysis.numerals import DIGITS, NONE, plain
from analysis.summaries import latex
from study.answers.formats import Format


def text_of(table: pd.DataFrame, format: Format, digits: int = DIGITS) -> str:
    """The ``table`` as text, without the last line's end.

    Args:
        table: the table.
        format: how it is written; CSV and JSON have every digit.
        digits: significant digits of its numbers where it is to be read.
    """
    match format:
        case Format.TABLE:
            text = table.to_string(index=False, float_format=partial(plain, digits=digits), na_rep=NONE)
        case Format.CSV:
            text = table.to_csv(index=False)
        case Format.JSON:
            text = table.to_json(orient="records", indent=2, force_ascii=False)
        case Format.LATEX:
            text = latex(table)
    return text.rstrip("\n")
