"""Conclusions: the plain answer of one data set: a strip of pictures, one sentence, and four short parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from study.answers.conclusions.levels import Level, level
from study.answers.conclusions.parts import how_sure, not_measured, seen, what_happens, what_helps
from study.answers.conclusions.phenomenon import Phenomenon, phenomenon
from study.answers.conclusions.repair import Repair, best, repairs
from study.answers.conclusions.statement import Part, Statement
from study.answers.conclusions.why import why
from study.answers.hypotheses import Case
from study.answers.results import Results

__all__ = ["Conclusion", "Level", "Part", "Phenomenon", "Repair", "Statement", "conclude", "level"]


@dataclass(frozen=True, eq=False)
class Conclusion:
    """The plain answer.

    phenomenon: the cell shown; None where the quality of samples was not measured.
    repair: the best repair of its prior that does not repeat training images; None where there is none.
    seen: what one sees in its pictures.
    parts: What happens, Why, What helps, How sure.
    """

    phenomenon: Phenomenon | None
    repair: Repair | None
    seen: Statement
    parts: tuple[Part, ...]


def conclude(
    results: Results, cases: Sequence[Case], left_out: Mapping[Path, str] = MappingProxyType({})
) -> Conclusion:
    """The conclusion from the results of one data set.

    Args:
        results: its finished cells.
        cases: its hypotheses with their verdicts.
        left_out: the reason of each stored cell of the same studies that could not be read, by its folder.
    """
    chosen = phenomenon(results)
    if chosen is None:
        unknown = not_measured(results)
        return Conclusion(None, None, unknown, (Part("What happens", (unknown,)), how_sure(None, (), cases, left_out)))
    every = repairs(results, chosen.cell)
    parts = (what_happens(chosen), why(chosen, results), what_helps(chosen, every))
    sure = how_sure(chosen, parts, cases, left_out)
    return Conclusion(chosen, best(every), seen(chosen, best(every)), (*parts, sure))
