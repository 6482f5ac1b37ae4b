"""Criterion: one number that a claim stands or falls with, and the region where the claim says it lies.

With the 95 % interval of the number,

    supported       the whole interval lies inside the region
    refuted         the whole interval lies where the opposite of the claim holds
    not supported   the whole interval lies outside the region and not where the opposite holds
    undecided       else: the region's edge is within half an interval's width of the estimate

An edge that the claim itself names, as in "most of the gap", has the opposite behind it. Other edges are the least
effect that the study calls one, and the claim is of the effect as such: the opposite begins at the value ``null`` of no
effect, and between null and edge the effect claimed is not shown, and excluded in the size asked for. A region with two
ends is a claim of equivalence, and the rule is that of two one-sided tests with the region as margin (Schuirmann 1987).

Undecided, too, is what two families by themselves say the opposite of: it depends on what they differ in, and the claim
does not say so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.interval import Interval
from analysis.paired_ratio import PairedRatio
from study.answers.hypotheses._base import Decision
from study.answers.hypotheses._intervals import family_means, ratio_over_seeds

ANSWERS: dict[Decision, str] = {
    "supported": "yes",
    "refuted": "no",
    "not supported": "not shown",
    "undecided": "open",
}


@dataclass(frozen=True, eq=False)
class Criterion:
    """``effect``, with its unit, is estimated by ``number``; the claim has it between ``least`` and ``most``.

    null: the effect's value where there is none, if the edge is the least effect that counts; None where the claim
        names the edge.
    level: of its intervals.
    parts: the interval of each family by itself, by label, where it has two seeds.
    """

    effect: str
    number: PairedRatio
    least: float = -math.inf
    most: float = math.inf
    null: float | None = None
    level: float = 0.95
    parts: Mapping[str, Interval] = field(default_factory=dict)

    @classmethod
    def of_mean(
        cls,
        effect: str,
        values: pd.DataFrame,
        *,
        least: float = -math.inf,
        most: float = math.inf,
        null: float | None = None,
        level: float = 0.95,
    ) -> Criterion:
        """The criterion of the mean of ``values``.

        Args:
            effect: what is measured, with its unit.
            values: families × replicates.
            least, most: ends of the region in which the claim has the mean, in the unit of the effect.
            null: the value of no effect, where an end is the least effect that counts.
            level: of the intervals.
        """
        (means,) = family_means(values)
        of_families = values.to_numpy(dtype=float)
        parts = {
            str(label): Interval.student_t(of_family[finite], level)
            for label, of_family, finite in zip(values.index, of_families, np.isfinite(of_families), strict=True)
            if finite.sum() >= 2
        }
        return cls(effect, PairedRatio(means), least, most, null, level, parts)

    @classmethod
    def of_ratio(
        cls,
        effect: str,
        numerator: pd.DataFrame,
        denominator: pd.DataFrame,
        *,
        least: float = -math.inf,
        most: float = math.inf,
        null: float | None = None,
    ) -> Criterion:
        """The criterion of the ratio of the means of two tables, families × replicates, with Fieller's intervals.

        Args:
            effect: what the ratio measures.
            numerator: the values above.
            denominator: the values below, with the same families and replicates.
            least, most: ends of the region in which the claim has the ratio.
            null: the value of no effect, where an end is the least effect that counts.
        """
        parts = {}
        for label in numerator.index:
            row = numerator.loc[[label]].dropna(axis=1)
            if row.shape[1] >= 2:
                parts[str(label)] = ratio_over_seeds(row, denominator.loc[[label], row.columns])
        above, below = family_means(numerator, denominator)
        return cls(effect, PairedRatio(above, below), least, most, null, parts=parts)

    def evaluated_with(self, noise: npt.NDArray[np.float64]) -> Criterion:
        """The same where the evaluation of one replicate is known to have this ``noise``, a covariance ``(2, 2)``."""
        return replace(self, number=replace(self.number, evaluation=noise))

    @cached_property
    def interval(self) -> Interval:
        """Interval of the number, at the level of the criterion."""
        return self.number.interval(self.level)

    @property
    def probability(self) -> float:
        """Probability that the number lies in the region, by its confidence distribution."""
        return self.number.probability_above(self.least) - self.number.probability_above(self.most)

    @property
    def p_inside(self) -> float:
        """Two-sided p-value against every value outside the region: small where the claim is shown."""
        outside = [1 - self.number.probability_above(self.least), self.number.probability_above(self.most)]
        return float(np.minimum(2 * np.max(outside), 1.0))

    @property
    def p_outside(self) -> float:
        """Two-sided p-value against every value inside the region: small where the claim is excluded."""
        inside = [self.number.probability_above(self.least), 1 - self.number.probability_above(self.most)]
        return float(np.minimum(2 * np.min(inside), 1.0))

    @property
    def decision(self) -> Decision:
        """By the rule of the module docstring."""
        return self.decision_at(1 - self.level)

    def decision_at(self, against: float) -> Decision:
        """The decision where the number counts as outside at p-values below ``against``."""
        if self.contradictory or math.isnan(self.probability):
            return "undecided"
        if self.p_inside < 1 - self.level:
            return "supported"
        if self.p_outside >= against:
            return "undecided"
        return "not supported" if self._short_of_opposite(self.interval) else "refuted"

    def decision_of(self, interval: Interval) -> Decision:
        """The decision that an interval alone makes; undecided where it is NaN."""
        if self.least < interval.lower and interval.upper < self.most:
            return "supported"
        if interval.upper <= self.least or interval.lower >= self.most:
            return "not supported" if self._short_of_opposite(interval) else "refuted"
        return "undecided"

    @property
    def decision_without_spread(self) -> Decision:
        """The decision that more and more seeds lead to, if the number stays what it is."""
        value = self.interval.value
        return "undecided" if self.contradictory else self.decision_of(Interval(value, value, value, self.interval.n))

    def _short_of_opposite(self, interval: Interval) -> bool:
        """Whether an interval outside the region does not lie wholly where the opposite holds."""
        if self.null is None:
            return False
        return interval.upper > self.null if interval.upper <= self.least else interval.lower < self.null

    @property
    def contradictory(self) -> bool:
        """Whether one family supports what another excludes."""
        decisions = {self.decision_of(part) for part in self.parts.values()}
        return "supported" in decisions and not decisions.isdisjoint({"refuted", "not supported"})

    @property
    def edges(self) -> list[float]:
        """Ends of the region."""
        return [edge for edge in (self.least, self.most) if math.isfinite(edge)]

    @property
    def open_edges(self) -> list[float]:
        """Ends of the region that the interval holds."""
        return [edge for edge in self.edges if edge in self.interval]

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
