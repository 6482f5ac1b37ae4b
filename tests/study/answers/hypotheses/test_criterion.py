"""Criteria: the whole interval inside, outside, or neither; families that contradict each other decide nothing."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.paired_ratio import PairedRatio
from study.answers.hypotheses._criterion import Criterion
from study.answers.hypotheses._rule import (
    conclude,
    conjunction,
    first_given_rest,
    some_effect,
    unanimity,
)

REGIONS = {
    "above": {"least": 1.0},
    "below": {"most": 1.0},
    "within": {"least": -1.0, "most": 1.0},
    "an effect": {"least": 1.0, "null": 0.0},
    "a loss": {"most": -1.0, "null": 0.0},
}
NOT_SHOWN = "not supported"


def number(lower, upper, seeds=3):
    """The number whose 95 % interval has these ends: the middle, and seeds at equal distances around it."""
    half = (upper - lower) / 2
    spread = np.linspace(-1.0, 1.0, seeds)
    spread *= half * math.sqrt(seeds) / stats.t.ppf(0.975, seeds - 1) / spread.std(ddof=1)
    return PairedRatio((lower + upper) / 2 + spread)


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
        ("an effect", (1.1, 2.0), "supported"),
        ("an effect", (0.5, 1.5), "undecided"),
        ("an effect", (0.1, 0.9), NOT_SHOWN),
        ("an effect", (-0.5, 0.9), NOT_SHOWN),
        ("an effect", (-0.5, -0.1), "refuted"),
        ("a loss", (-2.0, -1.1), "supported"),
        ("a loss", (-0.9, 0.5), NOT_SHOWN),
        ("a loss", (0.1, 0.5), "refuted"),
    ],
)
def test_the_whole_interval_decides(region, interval, decision):
    criterion = Criterion("x", number(*interval), **REGIONS[region])
    assert criterion.decision == decision
    assert criterion.decision_of(criterion.interval) == decision
    assert (criterion.interval.lower, criterion.interval.upper) == pytest.approx(interval, nan_ok=True)


def test_the_probability_of_a_region_is_what_the_interval_leaves():
    """At the ends of an interval one-sided claims have probabilities of 2.5 and 97.5 %, and two-sided p is 5 %."""
    at_lower, at_upper = (Criterion("x", number(1.0, 2.0), least=edge) for edge in (1.0, 2.0))
    assert (at_lower.probability, at_upper.probability) == pytest.approx((0.975, 0.025))
    assert (at_lower.p_inside, at_upper.p_outside) == pytest.approx((0.05, 0.05))
    within = Criterion("x", number(-1.0, 1.0), least=-1.0, most=1.0)
    assert within.probability == pytest.approx(0.95)
    assert within.p_inside == pytest.approx(0.05)  # the larger of two one-sided tests
    assert math.isnan(Criterion("x", number(math.nan, math.nan), least=0.0).p_inside)


def test_noise_of_the_evaluation_widens_what_seeds_agree_on_too_closely():
    criterion = Criterion("x", number(1.1, 1.2), least=1.0)
    assert criterion.decision == "supported"
    noisy = criterion.evaluated_with(np.array([[0.3**2, 0.0], [0.0, 0.0]]))
    half = 0.3 / math.sqrt(3) * stats.t.ppf(0.975, 2)
    assert noisy.interval.upper - noisy.interval.value == pytest.approx(half)
    assert noisy.decision == "undecided"
    assert noisy.probability < criterion.probability


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
        ([NOT_SHOWN, YES], NOT_SHOWN, OPEN, NOT_SHOWN, NOT_SHOWN),
        ([NOT_SHOWN, NO], NO, NOT_SHOWN, OPEN, YES),
        ([NOT_SHOWN, OPEN], NOT_SHOWN, OPEN, OPEN, NOT_SHOWN),
    ],
)
def test_decisions_combine(decisions, all_needed, agreeing, premises, any_effect):
    combined = [combine(decisions) for combine in (conjunction, unanimity, first_given_rest, some_effect)]
    assert combined == [all_needed, agreeing, premises, any_effect]


def test_a_verdict_has_the_first_criterion_as_effect_and_all_numbers_in_its_reason():
    first = Criterion("gain, nats", number(1.5, 2.5, 4), least=1.0)
    second = Criterion("loss", number(0.4, 0.6), most=0.1)
    verdict = conclude([first, second], "digits", notes=["and so on"])
    assert verdict.decision == "refuted"
    assert (verdict.effect, verdict.seeds) == ("gain, nats", 3)
    assert (verdict.value, *verdict.interval) == pytest.approx((2.0, 1.5, 2.5))
    assert verdict.why == "gain, nats: 2 [1.5, 2.5], above 1: yes; loss: 0.5 [0.4, 0.6], below 0.1: no; and so on"


def test_the_probability_of_several_criteria_is_a_bound_that_holds_however_they_depend():
    sure, even = Criterion("x", number(1.0, 2.0), least=1.0), Criterion("y", number(-1.0, 1.0), least=0.0)
    assert conclude([sure, even], "").probability == pytest.approx(0.975 + 0.5 - 1)
    assert conclude([even, even, even], "").probability == 0.0
    assert conclude([sure, even], "", combine=some_effect).probability == pytest.approx(0.5)
    nothing = Criterion("x", number(math.nan, math.nan), least=0.0)
    assert math.isnan(conclude([sure, nothing], "").probability)


def test_any_of_several_criteria_that_would_exclude_a_claim_is_asked_at_a_level_for_as_many():
    """An interval just outside excludes a claim of one criterion at 5 %, and of three only beyond 5/3 %."""
    outside, inside = Criterion("x", number(0.0, 0.99), least=1.0), Criterion("y", number(2.0, 3.0), least=1.0)
    assert conclude([outside], "").decision == "refuted"
    assert conclude([outside, inside, inside], "").decision == "undecided"
    verdict = conclude([outside, inside, inside], "", combine=unanimity)
    assert verdict.decision == "undecided"
    assert conclude([outside, inside], "", combine=first_given_rest).decision == "refuted"


@pytest.mark.parametrize("combine", [conjunction, unanimity, first_given_rest, some_effect])
def test_p_values_below_a_twentieth_are_those_of_verdicts(combine):
    generator = np.random.default_rng(0)
    level = 1 - 0.05 / 2 if combine.of_some else 0.95
    for _ in range(200):
        values = generator.normal(generator.normal(size=(2, 1)), 0.5, size=(2, 4))
        criteria = [Criterion("x", PairedRatio(row), least=-0.5, most=0.5, level=level) for row in values]
        verdict = conclude(criteria, "", combine=combine)
        if verdict.decision != "undecided":
            assert verdict.p_value < 0.05
        elif combine is conjunction:
            assert verdict.p_value >= 0.05
