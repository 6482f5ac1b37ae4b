"""Criteria: the whole interval inside, outside, or neither; families that contradict each other decide nothing."""

import math

import pandas as pd
import pytest

from analysis.interval import Interval
from study.answers.hypotheses._criterion import (
    Criterion,
    conclude,
    conjunction,
    first_given_rest,
    some_effect,
    unanimity,
)

REGIONS = {"above": {"least": 1.0}, "below": {"most": 1.0}, "within": {"least": -1.0, "most": 1.0}}


@pytest.mark.parametrize(
    ("region", "interval", "decision"),
    [
        ("above", (1.1, 2.0), "supported"),
        ("above", (0.0, 0.9), "refuted"),
        ("above", (0.9, 2.0), "undecided"),
        ("below", (0.0, 0.9), "supported"),
        ("below", (1.1, 2.0), "refuted"),
        ("below", (0.9, 2.0), "undecided"),
        ("within", (-0.5, 0.5), "supported"),
        ("within", (1.5, 2.0), "refuted"),
        ("within", (-2.0, -1.5), "refuted"),
        ("within", (0.5, 1.5), "undecided"),
        ("within", (-2.0, 2.0), "undecided"),
        ("above", (math.nan, math.nan), "undecided"),
    ],
)
def test_the_whole_interval_decides(region, interval, decision):
    criterion = Criterion("x", Interval(sum(interval) / 2, *interval, n=3), **REGIONS[region])
    assert criterion.decision == decision


def test_families_that_contradict_each_other_leave_it_open_and_are_named():
    steady = pd.DataFrame([[9.0, 9.1, 8.9], [9.0, 9.1, 8.9]], index=["D=2", "D=8"])
    torn = pd.DataFrame([[9.0, 9.1, 8.9], [0.1, 0.2, 0.0]], index=["D=2", "D=8"])
    assert Criterion.of_mean("x", steady, least=1.0).decision == "supported"
    criterion = Criterion.of_mean("x", torn, least=1.0)
    assert criterion.decision_of(criterion.interval) == "supported"
    assert criterion.decision == "undecided"
    assert "0.1 in D=8" in str(criterion)
    assert "9 in D=2" in str(criterion)


def test_a_ratio_is_of_means_and_has_its_families():
    numerator = pd.DataFrame([[4.0, 4.2, 3.8], [1.0, 1.1, 0.9]], index=["a", "b"])
    criterion = Criterion.of_ratio("x", numerator, numerator * 0 + 5.0, least=0.3)
    assert criterion.interval.value == pytest.approx(0.5)
    assert {name: round(part.value, 6) for name, part in criterion.parts.items()} == {"a": 0.8, "b": 0.2}
    assert criterion.decision == "undecided"


YES, NO, OPEN = "supported", "refuted", "undecided"


@pytest.mark.parametrize(
    ("decisions", "all_needed", "agreeing", "premises", "any_effect"),
    [
        ([YES, YES], YES, YES, YES, NO),
        ([YES, NO], NO, OPEN, OPEN, YES),
        ([NO, YES], NO, OPEN, NO, YES),
        ([NO, NO], NO, NO, OPEN, YES),
        ([YES, OPEN], OPEN, OPEN, OPEN, OPEN),
        ([NO, OPEN], NO, OPEN, OPEN, YES),
    ],
)
def test_decisions_combine(decisions, all_needed, agreeing, premises, any_effect):
    combined = [combine(decisions) for combine in (conjunction, unanimity, first_given_rest, some_effect)]
    assert combined == [all_needed, agreeing, premises, any_effect]


def test_a_verdict_has_the_first_criterion_as_effect_and_all_numbers_in_its_reason():
    first = Criterion("gain, nats", Interval(2.0, 1.5, 2.5, 4), least=1.0)
    second = Criterion("loss", Interval(0.5, 0.4, 0.6, 3), most=0.1)
    verdict = conclude([first, second], "digits", notes=["and so on"])
    assert verdict.decision == "refuted"
    assert (verdict.effect, verdict.value, verdict.interval, verdict.seeds) == ("gain, nats", 2.0, (1.5, 2.5), 3)
    assert verdict.why == "gain, nats: 2 [1.5, 2.5], above 1: yes; loss: 0.5 [0.4, 0.6], below 0.1: no; and so on"
