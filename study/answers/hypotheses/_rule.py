"""Rule: criteria, and how their decisions make the verdict on a claim.

Probabilities of several criteria together are bounds that hold however the criteria depend on each other (Boole): all
of k hold with a probability of at least 1 − Σ(1 − Pᵢ), some holds with at least max Pᵢ. A claim that needs every
criterion is supported where each is by itself (intersection–union test); to exclude it, any of k criteria would do, and
each is therefore asked at 0.05/k.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from study.answers.hypotheses._base import Decision, Verdict
from study.answers.hypotheses._criterion import Criterion


@dataclass(frozen=True)
class Combination:
    """How the decisions of criteria, in their order, make one decision.

    decide: gives the joint decision.
    excluded_by: which criteria must lie outside their regions to exclude the claim.
    of_some: whether the claim is that some number lies outside its region.
    """

    decide: Callable[[Sequence[Decision]], Decision]
    excluded_by: Literal["any", "all", "first"] = "any"
    of_some: bool = False

    def __call__(self, decisions: Sequence[Decision]) -> Decision:
        return self.decide(decisions)


def _needing_all(decisions: Sequence[Decision]) -> Decision:
    order: tuple[Decision, ...] = ("refuted", "not supported", "undecided")
    return next((decision for decision in order if decision in decisions), "supported")


def _agreeing(decisions: Sequence[Decision]) -> Decision:
    if set(decisions) == {"refuted", "not supported"}:
        return "not supported"
    return decisions[0] if len(set(decisions)) == 1 else "undecided"


def _given_premises(decisions: Sequence[Decision]) -> Decision:
    return decisions[0] if set(decisions[1:]) <= {"supported"} else "undecided"


def _of_some(decisions: Sequence[Decision]) -> Decision:
    opposite: dict[Decision, Decision] = {"supported": "refuted", "refuted": "supported"}
    joint = _needing_all(decisions)
    return opposite.get(joint, joint)


conjunction = Combination(_needing_all)
"""For claims that need every criterion: one criterion that is excluded excludes the claim."""

unanimity = Combination(_agreeing, "all")
"""For claims with several measures: decided where all measures agree."""

first_given_rest = Combination(_given_premises, "first")
"""For claims that the first criterion decides if the others, its premises, are supported."""

some_effect = Combination(_of_some, of_some=True)
"""For claims that some effect exists: supported if a criterion of the form "there is no such effect" is refuted, each
criterion at a level that allows for their number."""


@dataclass(frozen=True, eq=False)
class Rule:
    """Criteria that decide a claim, with their combination.

    criteria: at least one; the first gives the effect.
    scope: on what the verdict rests.
    combine: how the decisions of the criteria make one.
    notes: what follows the criteria in the verdict's ``why``.
    """

    criteria: Sequence[Criterion]
    scope: str
    combine: Combination = conjunction
    notes: Sequence[str] = ()

    def with_criteria(self, criteria: Sequence[Criterion]) -> Rule:
        """The same rule with others of its criteria."""
        return replace(self, criteria=criteria)

    @property
    def decision(self) -> Decision:
        """The joint decision of the criteria."""
        share = len(self.criteria) if self.combine == conjunction else 1
        return self.combine([criterion.decision_at((1 - criterion.level) / share) for criterion in self.criteria])

    @property
    def probability(self) -> float:
        """Lower bound of the probability that the claim holds by the rule; NaN where a criterion has no number."""
        inside = np.array([criterion.probability for criterion in self.criteria])
        bound = float((1 - inside).max() if self.combine.of_some else 1 - (1 - inside).sum())
        return bound if math.isnan(bound) else max(bound, 0.0)

    @property
    def p_value(self) -> float:
        """Two-sided, of the side that the evidence is on, for the claim or against it; NaN where a criterion has no
        number."""
        inside, outside = (
            np.array([getattr(criterion, name) for criterion in self.criteria]) for name in ("p_inside", "p_outside")
        )
        excluded = {"any": len(outside) * outside.min(), "all": outside.max(), "first": outside[0]}
        return float(np.minimum(min(1.0, excluded[self.combine.excluded_by]), inside.max()))

    @property
    def verdict(self) -> Verdict:
        """The verdict of the criteria as they are."""
        first = self.criteria[0]
        return Verdict(
            self.decision,
            "; ".join([*map(str, self.criteria), *self.notes]),
            first.effect,
            first.interval.value,
            (first.interval.lower, first.interval.upper),
            min(criterion.interval.n for criterion in self.criteria),
            self.scope,
            self.probability,
            self.p_value,
            rule=self,
        )


def conclude(
    criteria: Sequence[Criterion], scope: str, *, combine: Combination = conjunction, notes: Sequence[str] = ()
) -> Verdict:
    """The verdict of several criteria.

    Args:
        criteria: at least one; the first gives the effect.
        scope: on what the verdict rests.
        combine: how the decisions of the criteria make one.
        notes: what follows the criteria in the verdict's ``why``.
    """
    return Rule(criteria, scope, combine, notes).verdict
