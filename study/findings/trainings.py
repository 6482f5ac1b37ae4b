"""Trainings: tables with one line per training, its settings and what was measured, and their means in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.interval import Interval
from analysis.numerals import plus_minus, with_interval
from study.answers.results import Results
from study.findings.parts import in_markdown

ENDS = ("value", "lower", "upper", "seeds")


def measured(results: Results, quantities: Mapping[str, str]) -> pd.DataFrame:
    """One line per training with its settings and ``quantities``, of which those that no cell has are left out.

    Args:
        results: cells of one model.
        quantities: their addresses by the name of their column.
    """
    there = {name: address for name, address in quantities.items() if len(results.values(address))}
    return results.frame(**there)


def means(lines: pd.DataFrame, by: Sequence[str], quantities: Sequence[str]) -> pd.DataFrame:
    """One line per quantity and set of settings: its ``mean`` over seeds, the ``standard_error`` of that, ``seeds``.

    Args:
        lines: one per training.
        by: the settings.
        quantities: columns of ``lines``.
    """
    tall = lines.melt(list(by), list(quantities), "quantity")
    of_seeds = tall.groupby([*by, "quantity"], sort=False)["value"]
    found = of_seeds.agg(mean="mean", standard_error=lambda values: values.std() / len(values) ** 0.5, seeds="size")
    return found.reset_index()


def mean_table(table: pd.DataFrame, by: Mapping[str, str], quantities: Sequence[str]) -> str:
    """Means ± standard errors in Markdown, one line for each set of settings.

    Args:
        table: as :func:`means` gives it.
        by: the settings, with the heads of their columns.
        quantities: in their order.
    """
    rows = {}
    for settings, cell in table.groupby(list(by), sort=False):
        at = cell.set_index("quantity")
        rows[_name(settings)] = [plus_minus(at["mean"][name], at["standard_error"][name]) for name in quantities]
    return in_markdown(" | ".join(by.values()), quantities, rows)


def ends(interval: Interval) -> dict[str, float]:
    """Value, ends and number of seeds of an interval, as the columns ENDS of a table."""
    return dict(zip(ENDS, (interval.value, interval.lower, interval.upper, interval.n), strict=True))


def interval_table(table: pd.DataFrame, by: Mapping[str, str], across: str, heads: Mapping[Any, str]) -> str:
    """Values with their intervals in Markdown, one line for each set of settings, and a dash where there is none.

    Args:
        table: with the columns ENDS.
        by: the settings, with the heads of their columns.
        across: the setting, or quantity, of the other columns.
        heads: its values in their order, with what heads the column of each.
    """
    rows = {}
    for settings, cells in table.groupby(list(by), sort=False):
        at = cells.set_index(across)[["value", "lower", "upper"]].dropna(subset=["value"])
        rows[_name(settings)] = [_interval(at.loc[value]) if value in at.index else "—" for value in heads]
    return in_markdown(" | ".join(by.values()), list(heads.values()), rows)


def _name(settings: tuple[Any, ...]) -> str:
    return " | ".join(map(str, settings))


def _interval(line: pd.Series) -> str:
    return with_interval(line["value"], line["lower"], line["upper"])
