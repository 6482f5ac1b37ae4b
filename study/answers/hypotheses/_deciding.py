"""Deciding: which runs would decide a claim that is undecided, and at what cost, by the variances and times at hand."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis.numerals import duration
from study.answers.hypotheses._rule import Rule
from study.answers.results import Results, StoredCell

NOISY = 0.5
"""Share of a variance from which on its noise is named as a way to make it smaller."""


def what_decides(rule: Rule, seconds: float, level: float = 0.95) -> str:
    """In words, the seeds that would decide a ``rule`` that is undecided.

    Args:
        rule: with its criteria.
        seconds: of computing that one more seed of every cell takes.
        level: of intervals that would have to leave out the edges, where that is higher than the criteria's.
    """
    undecided = [each for each in rule.criteria if each.decision == "undecided"] or list(rule.criteria)
    if any(each.contradictory for each in undecided):
        return "no seeds: one family supports what another excludes, and the claim has to name what they differ in"
    if any(each.interval.reason for each in undecided):
        return "no seeds: a ratio whose denominator is not distinguishable from 0 needs cells with a gap to divide by"
    edges = [(each, edge) for each in undecided for edge in (each.open_edges or each.edges)]
    units = [each.number.units_to_tell(edge, max(level, each.level)) for each, edge in edges]
    seeds = min(each.number.n for each in undecided)
    noisy = any(each.number.noise_share(edge) > NOISY for each, edge in edges)
    draws = "; most of their spread is noise of the evaluation, which more draws reduce" if noisy else ""
    if any(unit is None for unit in units):
        return f"no number of seeds: the estimate lies on the edge{draws}"
    needed = max([unit for unit in units if unit is not None], default=seeds)
    if needed <= seeds or rule.combine([each.decision_without_spread for each in rule.criteria]) == "undecided":
        return "no seeds: at their present values the criteria contradict each other"
    cost = f", about {duration((needed - seeds) * seconds)} of computing" if seconds > 0 else ""
    return f"{needed} seeds in place of {seeds}{cost}{draws}"


def seconds_per_seed(evidence: Any, results: Results) -> float:
    """Seconds that one more seed takes of every cell on which evidence rests.

    Args:
        evidence: a table with the column ``key``, or a tuple that has such tables.
        results: the cells, with the times that they took.
    """
    tables = [evidence] if isinstance(evidence, pd.DataFrame) else evidence if isinstance(evidence, tuple) else []
    keys = {key for table in tables if isinstance(table, pd.DataFrame) and "key" in table for key in table["key"]}
    return sum(_seconds(cell) / cell.cell.seeds for cell in results if cell.key in keys)


def _seconds(cell: StoredCell) -> float:
    """Seconds of training and measuring a cell, or of the run that finished it if the two were not timed apart."""
    parts = [cell.manifest.details.get(name) for name in ("training_seconds", "measurement_seconds")]
    known = [float(part) for part in parts if isinstance(part, int | float)]
    return sum(known) if len(known) == len(parts) else cell.manifest.seconds
