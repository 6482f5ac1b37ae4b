"""The docket: noise of the evaluation, Holm over the primary family, and what would decide what is undecided."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from analysis.normal_noise import NormalNoise
from analysis.paired_ratio import PairedRatio
from study.answers.hypotheses import HYPOTHESES, Verdict, cases, hypotheses
from study.answers.hypotheses._base import Case
from study.answers.hypotheses._criterion import Criterion
from study.answers.hypotheses._deciding import seconds_per_seed, what_decides
from study.answers.hypotheses._docket import _adjusted
from study.answers.hypotheses._noise import Noise
from study.answers.hypotheses._rule import Rule, conclude, unanimity
from study.answers.remeasured import remeasured
from study.answers.results import Results

from .conftest import remembered
from .worlds import WORLDS

H7 = HYPOTHESES["h7_mismatch"]()


@pytest.fixture(scope="module")
def grown():
    """The world in which the mismatch grows with D; standard errors are a hundredth of each value."""
    return remembered(H7.needs.study(), lambda cell, _: WORLDS["h7_mismatch"](cell, True))


def test_six_claims_are_primary_and_what_is_true_by_construction_is_a_check():
    families = {each.id: each.family for each in hypotheses()}
    assert sorted(id for id, family in families.items() if family == "primary") == [
        "H10", "H14", "H20", "H7", "H8", "H9",
    ]  # fmt: skip
    assert sorted(id for id, family in families.items() if family == "check") == ["H2", "H4", "H5"]


def test_remeasured_results_differ_by_their_standard_errors_and_keep_everything_else(grown):
    again = [remeasured(grown, NormalNoise(time, "test")) for time in range(60)]
    name = "aggregate/train/kl"
    before = grown.values(name)
    anew = np.stack([results.values(name)["value"] for results in again])
    assert anew.mean(0) == pytest.approx(before["value"].to_numpy(), rel=0.01)
    assert anew.std(0, ddof=1) == pytest.approx(before["standard_error"].to_numpy(), rel=0.4)
    pd.testing.assert_frame_equal(again[0].values(name).drop(columns="value"), before.drop(columns="value"))
    assert [cell.identity for cell in again[0]] == [cell.identity for cell in grown]


def test_the_noise_of_a_slope_is_that_of_its_estimates(grown):
    """Slopes of four D, log2 D = 1, 3, 5, 7: the variance is Σ ((x − 4)/20)² se²."""
    again = [remeasured(grown, NormalNoise(time, "slopes")) for time in range(60)]
    noise = Noise(H7, H7.examine(grown).verdict.rule)
    for each in again:
        noise.evaluate(each)
    rule = noise.rule()
    late = max(grown.partition("latent_dim"), key=lambda family: family.cells[0].settings["updates"])
    errors = late.values("aggregate/train/kl").groupby("latent_dim")["standard_error"].mean()
    expected = (((np.log2(errors.index.to_numpy(float)) - 4) / 20) ** 2 * errors**2).sum()
    assert rule.criteria[0].number.evaluation[0, 0] == pytest.approx(expected, rel=0.3)
    assert rule.criteria[0].interval.upper > H7.examine(grown).verdict.interval[1]


@pytest.mark.parametrize("name", [name for name, kind in HYPOTHESES.items() if kind.of_records])
def test_evidence_of_records_is_the_same_when_it_is_measured_again(name):
    hypothesis = HYPOTHESES[name]()
    grown = remembered(hypothesis.needs.study(), lambda cell, _: WORLDS[name](cell, True))
    before = hypothesis.evidence(grown)
    again = hypothesis.evidence(remeasured(grown, NormalNoise(0, "test")))
    pd.testing.assert_frame_equal(again, before)
    noise = Noise(hypothesis, hypothesis.decide(before).rule)
    noise.evaluate(remeasured(grown, NormalNoise(0, "test")))
    noise.evaluate(remeasured(grown, NormalNoise(1, "test")))
    assert np.abs(noise.rule().criteria[0].number.evaluation).max() < 1e-20


def primary(p_value, decision="supported"):
    verdict = Verdict(decision, "because", seeds=3, p_value=p_value)
    return Case(SimpleNamespace(family="primary"), "digits", verdict)


def test_holm_leaves_open_what_one_of_six_claims_would_show_by_chance():
    cases = [primary(0.001), primary(0.02), primary(0.2, "undecided"), *[primary(math.nan, "undecided")] * 3]
    first, second, third, *missing = _adjusted(cases)
    assert (first.verdict.decision, first.verdict.adjusted) == ("supported", pytest.approx(0.006))
    assert (second.verdict.decision, second.verdict.adjusted) == ("undecided", pytest.approx(0.1))
    assert "supported by itself, and open at p = 0.1 after Holm" in second.verdict.why
    assert third.verdict.adjusted == pytest.approx(0.8)
    assert all(math.isnan(case.verdict.adjusted) for case in missing)


def test_exploratory_claims_are_adjusted_for_nothing():
    case = replace(primary(0.04), hypothesis=SimpleNamespace(family="exploratory"))
    assert _adjusted([case]) == [case]


def near(mean, spread=1.0, **region):
    return Criterion("x", PairedRatio(mean + spread * np.array([-1.0, 0.0, 1.0])), **region)


def test_what_decides_names_seeds_and_their_cost():
    rule = Rule([near(1.0, least=0.0)], "")
    units = rule.criteria[0].number.units_to_tell(0.0)
    assert what_decides(rule, 60.0) == f"{units} seeds in place of 3, about {units - 3} min of computing"
    assert what_decides(rule, 0.0) == f"{units} seeds in place of 3"
    more = int(what_decides(rule, 0.0, level=0.99).split()[0])
    assert more > units


def test_what_decides_says_where_seeds_do_not():
    assert what_decides(Rule([near(0.001, least=0.0)], ""), 1.0).startswith("no number of seeds: the estimate lies on")
    torn = pd.DataFrame([[9.0, 9.1, 8.9], [0.1, 0.2, 0.0]], index=["a", "b"])
    families = Criterion.of_mean("x", torn, least=1.0)
    assert "one family supports what another excludes" in what_decides(Rule([families], ""), 1.0)
    # Of two measures that must agree, one is excluded and the other open, with its value on the side of the claim: more
    # seeds would make them disagree, and not decide.
    split = Rule([near(1.0, least=0.0), near(9.0, 0.1, most=0.0)], "", unanimity)
    assert split.decision == "undecided"
    assert what_decides(split, 1.0) == "no seeds: at their present values the criteria contradict each other"
    agreed = Rule([near(-1.0, least=0.0), near(9.0, 0.1, most=0.0)], "", unanimity)
    assert "seeds in place of 3" in what_decides(agreed, 1.0)
    nothing = pd.DataFrame([[1.0, 1.1, 0.9]]), pd.DataFrame([[0.1, -0.2, 0.1]])
    assert "denominator" in what_decides(Rule([Criterion.of_ratio("x", *nothing, least=0.5)], ""), 1.0)


def test_noise_that_dominates_is_named():
    noisy = near(1.0, 0.1, least=0.5).evaluated_with(np.diag([4.0, 0.0]))
    assert "which more draws reduce" in what_decides(conclude([noisy], "").rule, 1.0)


def test_the_cost_of_a_seed_is_that_of_the_cells_behind_the_evidence(grown):
    evidence = H7.evidence(grown)
    assert seconds_per_seed(evidence, grown) == pytest.approx(len(grown) * 60.0 / 5)
    assert seconds_per_seed(evidence[evidence["latent_dim"] == 2], grown) == pytest.approx(2 * 60.0 / 5)
    assert seconds_per_seed(None, grown) == 0.0


def test_every_case_has_its_numbers(grown, monkeypatch):
    known = Verdict("supported", "as ever")  # H4 takes seconds
    monkeypatch.setattr(HYPOTHESES["h4_disjointness"], "examine", lambda self, _: Case(self, "digits", known))
    found = {case.hypothesis.id: case.verdict for case in cases(grown)}
    assert list(found) == [each.id for each in hypotheses()]
    assert found["H7"].decision == "supported"
    assert found["H7"].probability > 0.99
    assert found["H7"].adjusted == pytest.approx(6 * found["H7"].p_value)
    assert found["H7"].decides == ""
    assert found["H12"].decides == "`latent-study run --for H12`"
    assert cases(Results(()))[6].verdict.decision == "undecided"
