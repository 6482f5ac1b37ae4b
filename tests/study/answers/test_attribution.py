"""Attribution: contributions sum to what G closes, and are those of additive and of interacting worlds."""

import pytest

from study.answers.attribution import ORDERS, SOURCES, attribution

from .hypotheses.conftest import remembered, study_of

STUDY = "latent-study run smoke prior=standard_normal latent_dim=4 seeds={}"
EFFECT = {"mean": 50.0, "variances": 5.0, "correlations": 20.0}


def table(together=0.0, without=(), seeds=3, aggregate=15.0):
    """Of a world in which each moment closes its EFFECT, and mean and correlations ``together`` so much more."""

    def truth(cell, replicate):
        distances = {"realism/aggregate_train/squared_frechet": aggregate}
        for moments, source in SOURCES.items():
            closed = sum(EFFECT[part] for part in moments) + together * ({"mean", "correlations"} <= moments)
            if source not in without:
                distances[f"realism/{source}/squared_frechet"] = 100.0 - closed
        return distances, {}

    return attribution(remembered(study_of(STUDY.format(seeds)), truth))


def test_effects_that_add_are_found_whatever_the_order():
    found = table().set_index("part")
    assert list(found.index) == [*ORDERS[0], "beyond"]
    # The worlds' distances of 100 have noise of a thousandth over seeds.
    for part, effect in (EFFECT | {"beyond": 10.0}).items():
        line = found.loc[part]
        assert line["closed"] == pytest.approx(effect, abs=0.5), part
        assert line["lower"] < effect < line["upper"], part
        assert line["share"] == pytest.approx(effect / 85, abs=0.01), part
        assert line["most"] - line["least"] < 1
    assert found["share"].sum() == pytest.approx(1.0, abs=1e-9)


def test_what_two_parts_do_together_is_shared_by_order():
    """The mean comes last of the two in one order of three, the correlations in two."""
    found = table(together=9.0).set_index("part")
    assert found.loc["mean", "closed"] == pytest.approx(53.0, abs=0.5)
    assert found.loc["correlations", "closed"] == pytest.approx(26.0, abs=0.5)
    assert (found.loc["mean", "least"], found.loc["mean", "most"]) == pytest.approx((50.0, 59.0), abs=0.5)


def test_cells_without_a_source_have_no_line():
    assert table(without=("moment_normal",)).empty


def test_a_part_is_shown_as_the_first_and_as_the_last_to_be_put_right_beside_the_levels():
    found = table(together=9.0).set_index("part")
    assert (found.loc["mean", "first"], found.loc["mean", "last"]) == pytest.approx((50.0, 59.0), abs=0.5)
    assert (found.loc["correlations", "first"], found.loc["correlations", "last"]) == pytest.approx(
        (20.0, 29.0), abs=0.5
    )
    assert found[["prior", "all", "aggregate"]].iloc[0].tolist() == pytest.approx([100.0, 16.0, 15.0], abs=0.5)


@pytest.mark.parametrize(("aggregate", "decided"), [(15.0, True), (98.0, False)])
def test_one_seed_has_shares_where_the_gap_is_beyond_the_error_of_its_evaluation(aggregate, decided):
    """Made-up evaluations have standard errors of a hundredth, so that 100 − 98 is 1.4 errors."""
    found = table(seeds=1, aggregate=aggregate)
    assert found["share"].notna().all() == found["share"].notna().any() == decided
    assert found["closed"].notna().all()
    assert found["share_lower"].isna().all()
