"""Matrix: what every hypothesis comes to on every data set, and where data sets disagree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from study.answers.hypotheses import Case


class Row(NamedTuple):
    """One hypothesis.

    id: as in ``H7``.
    claim: one sentence.
    decisions: supported, refuted or undecided, by data set.
    """

    id: str
    claim: str
    decisions: dict[str, str]

    @property
    def decided(self) -> set[str]:
        """The decisions of the data sets that decide it."""
        return set(self.decisions.values()) - {"undecided"}

    @property
    def disagrees(self) -> bool:
        """Whether one data set supports what another decides otherwise."""
        return "supported" in self.decided and len(self.decided) > 1

    @property
    def together(self) -> str:
        """Joint verdict of the data sets, in words."""
        if self.disagrees:
            return "data sets disagree"
        if not self.decided:
            return "undecided"
        number = sum(decision != "undecided" for decision in self.decisions.values())
        return f"{' or '.join(sorted(self.decided))} on {number} of {len(self.decisions)}"


def matrix(cases: Mapping[str, Mapping[str, Case]]) -> list[Row]:
    """One row per hypothesis, in the order of the first data set.

    Args:
        cases: by data set, its cases by the id of their hypothesis.
    """
    first = next(iter(cases.values()), {})
    return [
        Row(name, case.hypothesis.claim, {dataset: own[name].verdict.decision for dataset, own in cases.items()})
        for name, case in first.items()
    ]
