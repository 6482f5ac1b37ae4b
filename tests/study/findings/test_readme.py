"""README's answer says nothing with an error that is not in a table of FINDINGS, up to rounding."""

import re
from decimal import Decimal

import pytest

from study.findings.pages import ROOT

NUMBER = r"−?\d+(?:,\d{3})*(?:\.\d+)?"
WITH_ERROR = re.compile(rf"({NUMBER}) ± ({NUMBER})")
WITH_INTERVAL = re.compile(rf"({NUMBER}) \[({NUMBER}), ({NUMBER})\]")


def lines_of_tables(text):
    return "\n".join(line for line in text.splitlines() if line.startswith("|"))


def decimal(number):
    return Decimal(number.replace("−", "-").replace(",", ""))


def rounds_to(found, said):
    """Whether ``found`` is ``said`` to the places that the latter has, whichever way a half is rounded."""
    half = Decimal(1).scaleb(int(decimal(said).as_tuple().exponent)) / 2
    return abs(decimal(found) - decimal(said)) <= half


def estimates(text):
    """Every number with its error and every number with its interval."""
    return WITH_ERROR.findall(text) + WITH_INTERVAL.findall(text)


def without_source(said, tables):
    """Estimates that no line of ``tables`` has."""
    found = estimates(tables)
    return [
        each
        for each in said
        if not any(len(each) == len(other) and all(map(rounds_to, other, each)) for other in found)
    ]


@pytest.fixture(scope="module")
def answer():
    """The estimates in the table of README's answer."""
    readme = (ROOT / "README.md").read_text("utf-8")
    _, after = readme.split("**The answer so far**")
    found = estimates(lines_of_tables(after.split("\nThe first three runs")[0]))
    assert len(found) > 15
    return found


@pytest.fixture(scope="module")
def tables():
    return lines_of_tables((ROOT / "FINDINGS.md").read_text("utf-8"))


def test_estimates_are_those_of_findings(answer, tables):
    assert without_source(answer, tables) == []


def test_another_number_or_another_error_would_be_noticed(answer, tables):
    for value, *rest in answer:
        moved = str(decimal(value) + 10_000)
        assert without_source([(moved, *rest)], tables) == [(moved, *rest)]
    assert without_source([("39.6", "7.7"), ("638", "6")], tables) == [("39.6", "7.7")]
