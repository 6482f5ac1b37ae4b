"""Every hypothesis in worlds where its claim is true, where it is false, and where the seeds do not agree.

The worlds are made of the cells that the hypothesis names in its ``needs``, so that those are enough to decide it.
"""

import io
import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from study.answers.hypotheses import HYPOTHESES, _linear_gaussian, h4_disjointness
from study.answers.results import Results

from .conftest import remembered
from .worlds import WORLDS

BY_NAME = {name: kind() for name, kind in HYPOTHESES.items()}


def truth_of(name, holds):
    return lambda cell, replicate: WORLDS[name](cell, holds(replicate))


def world(name, holds, *assignments):
    """The results of the study that the hypothesis needs, where its claim holds in the replicates of ``holds``."""
    return remembered(BY_NAME[name].needs.study().override(assignments), truth_of(name, holds))


def test_every_hypothesis_that_rests_on_cells_has_its_worlds():
    assert set(WORLDS) == {name for name, hypothesis in BY_NAME.items() if hypothesis.needs}


@pytest.mark.parametrize("name", WORLDS)
def test_where_the_claim_is_true_it_is_supported_and_drawn(name):
    case = BY_NAME[name].examine(world(name, lambda replicate: True))
    verdict = case.verdict
    assert verdict.decision == "supported", verdict.why
    assert verdict.seeds == 5
    assert verdict.interval[0] <= verdict.value <= verdict.interval[1]
    assert "digits" in verdict.scope
    figure = case.figure()
    FigureCanvasAgg(figure)
    figure.savefig(io.BytesIO(), format="png")
    for axes in figure.axes:
        assert axes.get_ylabel() or len(axes.get_yticklabels()) >= 1


def test_on_another_data_set_the_missing_cells_are_those_of_that_data_set():
    case = BY_NAME["h7_mismatch"].examine(
        world("h7_mismatch", lambda replicate: True, "dataset=mnist", "train.updates=220")
    )
    assert case.verdict.why.endswith("`latent-study run --for H7 dataset=mnist` computes cells that decide it")
    assert case.needs.endswith("`latent-study run --for H7 dataset=mnist`")


@pytest.mark.parametrize("name", WORLDS)
def test_one_seed_decides_nothing(name):
    verdict = BY_NAME[name].examine(world(name, lambda replicate: True, "seeds=1")).verdict
    assert verdict.decision == "undecided"
    assert verdict.why.startswith("one seed")


@pytest.mark.parametrize(("holds", "decision"), [(True, "undecided"), (False, "not supported")])
def test_spatial_codes_without_the_twin_can_be_refuted_and_not_supported(holds, decision):
    maps = world("h9_spatial_codes", lambda replicate: holds, "latent_dim=64x2x2,4x2x2")
    verdict = BY_NAME["h9_spatial_codes"].examine(maps).verdict
    assert verdict.decision == decision
    assert "without the twin" in verdict.why


@pytest.mark.parametrize(("binarisation", "decision"), [("dynamic", "undecided"), ("threshold", "supported")])
def test_copies_of_images_binarised_by_chance_are_not_judged_as_reconstructions(binarisation, decision):
    results = world("h10_reductions", lambda replicate: True, f"binarisation={binarisation}")
    assert BY_NAME["h10_reductions"].examine(results).verdict.decision == decision


def test_surplus_of_d_at_fixed_training_is_not_taken_for_an_effect_of_d():
    """Where the mismatch grows with D after short training alone, H7 is not supported, and says what short runs do."""

    def cured(cell, replicate):
        return WORLDS["h7_mismatch"](cell, cell.train.updates == 220)

    hypothesis = BY_NAME["h7_mismatch"]
    study = hypothesis.needs.study()
    verdict = hypothesis.examine(remembered(study, cured)).verdict
    assert verdict.decision == "not supported"
    assert "at the shortest training 0.5" in verdict.why
    short = remembered(study.override(["train.updates=220"]), cured)
    assert hypothesis.examine(short).verdict.decision == "undecided"


@pytest.mark.parametrize(
    "name", ["h1_overlap", "h8_ex_post", "h15_learned_priors"]
)  # records, fitted densities, another factor than D
def test_cells_on_disk_say_the_same(name, stored):
    study, truth = BY_NAME[name].needs.study(), truth_of(name, lambda replicate: True)
    on_disk, in_memory = (BY_NAME[name].examine(keep(study, truth)).verdict for keep in (stored, remembered))
    assert on_disk == in_memory


SHORT_OF_ITS_OPPOSITE = {"h7_mismatch", "h13_extrapolation"}
"""Hypotheses whose false worlds have some of the effect, and less than the least that counts."""


@pytest.mark.parametrize("name", WORLDS)
def test_where_the_claim_is_false_it_is_refuted(name):
    verdict = BY_NAME[name].examine(world(name, lambda replicate: False)).verdict
    expected = "not supported" if name in SHORT_OF_ITS_OPPOSITE else "refuted"
    assert verdict.decision == expected, verdict.why


@pytest.mark.parametrize("name", WORLDS)
def test_where_seeds_disagree_it_is_undecided(name):
    verdict = BY_NAME[name].examine(world(name, lambda replicate: replicate % 2 == 0)).verdict
    assert verdict.decision == "undecided", verdict.why
    assert math.isfinite(verdict.value)


def test_the_opposite_of_an_effect_refutes_it():
    """A mismatch that falls with D, where one that hardly grows leaves the claim without support."""

    def falling(cell, replicate):
        estimates, records = WORLDS["h7_mismatch"](cell, True)
        return {name: 10 - value for name, value in estimates.items()}, records

    hypothesis = BY_NAME["h7_mismatch"]
    verdict = hypothesis.examine(remembered(hypothesis.needs.study(), falling)).verdict
    assert verdict.decision == "refuted", verdict.why


def test_a_distance_that_may_be_below_zero_has_no_ratio_and_leaves_the_claim_undecided():
    """An extrapolated distance of the fit that is all noise: no logarithm of it, and the reason is said."""

    def noise(cell, replicate):
        estimates, records = WORLDS["h15_learned_priors"](cell, True)
        return {name: -3.0 if "frechet" in name else value for name, value in estimates.items()}, records

    hypothesis = BY_NAME["h15_learned_priors"]
    verdict = hypothesis.examine(remembered(hypothesis.needs.study(), noise)).verdict
    assert verdict.decision == "undecided"
    assert "4 standard errors above 0" in verdict.why
    assert "nan" not in verdict.why


def test_disjointness_is_decided_without_cells():
    case = BY_NAME["h4_disjointness"].examine(Results(()))
    verdict = case.verdict
    assert verdict.decision == "supported", verdict.why
    assert abs(verdict.value) < 0.1
    assert verdict.seeds == h4_disjointness.REPETITIONS
    assert len(case.figure().axes) == 2


def test_the_table_of_repetitions_is_what_they_give():
    table = pd.read_csv(h4_disjointness.TRIALS)
    pd.testing.assert_frame_equal(table, _linear_gaussian.trials(), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("changes", "decision"),
    [
        ({"samples": 1.0}, "refuted"),  # samples as bad as those with the known fault
        ({"total_variation": 0.5}, "undecided"),  # not disjoint: nothing is shown
        ({"population_kl": 1.0}, "undecided"),  # the population's aggregate is not the prior
    ],
)
def test_disjointness_can_fail(monkeypatch, tmp_path, changes, decision):
    exact = _linear_gaussian.Trial(total_variation=1.0, population_kl=0.0, rate=40.0, samples=0.0, fault=1.0)
    jitter = np.random.default_rng(0).normal(1, 1e-3, size=h4_disjointness.REPETITIONS)
    table = pd.DataFrame([exact._replace(fault=fault, **changes) for fault in jitter])
    table.to_csv(tmp_path / "trials.csv", index=False)
    monkeypatch.setattr(h4_disjointness, "TRIALS", tmp_path / "trials.csv")
    assert BY_NAME["h4_disjointness"].examine(Results(())).verdict.decision == decision


def test_the_gap_is_regressed_on_the_gain_too_and_decides_nothing():
    why = BY_NAME["h6_rate"].examine(world("h6_rate", lambda replicate: False)).verdict.why
    assert "the gain along the mean of the codes explains 0.9" in why or "explains 1" in why

    def without(cell, replicate):
        numbers, records = WORLDS["h6_rate"](cell, True)
        return {name: value for name, value in numbers.items() if "gain" not in name}, records

    verdict = BY_NAME["h6_rate"].examine(remembered(BY_NAME["h6_rate"].needs.study(), without)).verdict
    assert verdict.decision == "supported"
    assert "gain" not in verdict.why


def test_the_distance_weighted_by_the_gain_stands_beside_the_log_ratio():
    why = BY_NAME["h13_extrapolation"].examine(world("h13_extrapolation", lambda replicate: True)).verdict.why
    assert "JᵀJ-weighted distance to codes: 1" in why


def test_where_the_mean_comes_from_is_decided_without_samples():
    def without(cell, replicate):
        numbers, records = WORLDS["h22_offset"](cell, True)
        return {name: value for name, value in numbers.items() if not name.startswith("realism")}, records

    hypothesis = BY_NAME["h22_offset"]
    verdict = hypothesis.examine(remembered(hypothesis.needs.study(), without)).verdict
    assert verdict.decision == "supported"
    assert "gap in quality" not in verdict.why
    assert "gap in quality" in hypothesis.examine(world("h22_offset", lambda replicate: True)).verdict.why
