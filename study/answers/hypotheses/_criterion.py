"""Criterion: one number that a claim stands or falls with, and the region where the claim says it lies.

The whole 95 % interval inside the region: supported. The whole interval outside: refuted. Else undecided, as where two
families by themselves say the opposite of each other: then it depends on what they differ in, and the claim does not
say so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from analysis.interval import Interval
from study.answers.hypotheses._base import Decision, Verdict
from study.answers.hypotheses._intervals import over_seeds, ratio_over_seeds

ANSWERS: dict[Decision, str] = {"supported": "yes", "refuted": "no", "undecided": "open"}


@dataclass(frozen=True)
class Criterion:
    """``effect``, with its unit, has the ``interval``; the claim has it between ``least`` and ``most``.

    parts: the interval of each family by itself, by label, where it has two seeds.
    """

    effect: str
    interval: Interval
    least: float = -math.inf
    most: float = math.inf
    parts: Mapping[str, Interval] = field(default_factory=dict)

    @classmethod
    def of_mean(
        cls,
        effect: str,
        values: pd.DataFrame,
        *,
        least: float = -math.inf,
        most: float = math.inf,
        level: float = 0.95,
    ) -> Criterion:
        """Of the mean of ``values``.

        Args:
            effect: what is measured, with its unit.
            values: families × replicates.
            least, most: ends of the region in which the claim has the mean, in the unit of the effect.
            level: of the intervals.
        """
        rows = {str(label): row.dropna() for label, row in values.iterrows()}
        parts = {label: Interval.student_t(row, level) for label, row in rows.items() if len(row) >= 2}
        return cls(effect, over_seeds(values, level), least, most, parts)

    @classmethod
    def of_ratio(
        cls,
        effect: str,
        numerator: pd.DataFrame,
        denominator: pd.DataFrame,
        *,
        least: float = -math.inf,
        most: float = math.inf,
    ) -> Criterion:
        """Of the ratio of the means of two tables, families × replicates, with Fieller's intervals.

        Args:
            effect: what the ratio measures.
            numerator: the values above.
            denominator: the values below, with the same families and replicates.
            least, most: ends of the region in which the claim has the ratio.
        """
        parts = {}
        for label in numerator.index:
            row = numerator.loc[[label]].dropna(axis=1)
            if row.shape[1] >= 2:
                parts[str(label)] = ratio_over_seeds(row, denominator.loc[[label], row.columns])
        return cls(effect, ratio_over_seeds(numerator, denominator), least, most, parts)

    def decision_of(self, interval: Interval) -> Decision:
        """What an interval alone says; NaN says nothing."""
        if self.least < interval.lower and interval.upper < self.most:
            return "supported"
        return "refuted" if interval.upper <= self.least or interval.lower >= self.most else "undecided"

    @property
    def contradictory(self) -> bool:
        """Whether one family supports what another refutes."""
        return {"supported", "refuted"} <= {self.decision_of(part) for part in self.parts.values()}

    @property
    def decision(self) -> Decision:
        """Supported, refuted or undecided, by the rule of the module docstring."""
        return "undecided" if self.contradictory else self.decision_of(self.interval)

    def __str__(self) -> str:
        text = f"{self.effect}: {self.interval}, {self._region}: {ANSWERS[self.decision]}"
        if self.contradictory:
            low, high = (pick(self.parts, key=lambda name: self.parts[name].value) for pick in (min, max))
            text += f" (from {self.parts[low].value:.3g} in {low} to {self.parts[high].value:.3g} in {high})"
        return text

    @property
    def _region(self) -> str:
        if math.isinf(self.least):
            return f"below {self.most:.3g}"
        return f"above {self.least:.3g}" if math.isinf(self.most) else f"within {self.least:.3g} to {self.most:.3g}"


def conjunction(decisions: Sequence[Decision]) -> Decision:
    """Of a claim that needs every part: refuted where one part is."""
    if "refuted" in decisions:
        return "refuted"
    return "undecided" if "undecided" in decisions else "supported"


def unanimity(decisions: Sequence[Decision]) -> Decision:
    """Of a claim with several measures: decided where they agree."""
    return decisions[0] if len(set(decisions)) == 1 else "undecided"


def first_given_rest(decisions: Sequence[Decision]) -> Decision:
    """Of a claim that the first criterion decides where the others, its premises, hold."""
    return decisions[0] if set(decisions[1:]) <= {"supported"} else "undecided"


def some_effect(decisions: Sequence[Decision]) -> Decision:
    """Of a claim that some effect is there, from criteria that each say one is not."""
    opposite: dict[Decision, Decision] = {"supported": "refuted", "refuted": "supported", "undecided": "undecided"}
    return opposite[conjunction(decisions)]


def conclude(
    criteria: Sequence[Criterion],
    scope: str,
    *,
    combine: Callable[[Sequence[Decision]], Decision] = conjunction,
    notes: Sequence[str] = (),
) -> Verdict:
    """The verdict of several criteria.

    Args:
        criteria: at least one; the first gives the effect.
        scope: on what the verdict rests.
        combine: how the decisions of the criteria, in their order, make one.
        notes: what follows the criteria in the verdict's ``why``.
    """
    first = criteria[0]
    return Verdict(
        combine([criterion.decision for criterion in criteria]),
        "; ".join([*map(str, criteria), *notes]),
        first.effect,
        first.interval.value,
        (first.interval.lower, first.interval.upper),
        min(criterion.interval.n for criterion in criteria),
        scope,
    )
