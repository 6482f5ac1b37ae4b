"""Hypotheses on several data sets: disagreements are told from what is undecided."""

from typing import NamedTuple

import pytest

from study.answers.matrix import matrix


class Claim(NamedTuple):
    claim: str = "Codes are far."


class Verdict(NamedTuple):
    decision: str


class Case(NamedTuple):
    verdict: Verdict
    hypothesis: Claim = Claim()


@pytest.mark.parametrize(
    ("decisions", "disagrees", "together"),
    [
        (("supported", "refuted"), True, "data sets disagree"),
        (("supported", "undecided"), False, "supported on 1 of 2"),
        (("refuted", "refuted"), False, "refuted on 2 of 2"),
        (("undecided", "undecided"), False, "undecided"),
    ],
)
def test_rows(decisions, disagrees, together):
    cases = {f"set {number}": {"H1": Case(Verdict(decision))} for number, decision in enumerate(decisions)}
    (row,) = matrix(cases)
    assert list(row.decisions.values()) == list(decisions)
    assert (row.disagrees, row.together) == (disagrees, together)
