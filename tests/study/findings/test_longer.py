"""The studies of dimension and of the first moment: their tables are those of the exports, and what they compare."""

import io
import math

import numpy as np
import pandas as pd
import pytest

from study.answers.results import Results
from study.findings import dimension, first_moment
from study.findings.runs import verdicts_of
from study.findings.trainings import interval_table, mean_table, means


def as_written(table):
    return pd.read_csv(io.StringIO(table.to_csv(index=False)))


def same(computed, path):
    pd.testing.assert_frame_equal(as_written(computed), pd.read_csv(path), check_exact=False, rtol=1e-6, atol=1e-9)


@pytest.fixture(scope="module", params=[dimension, first_moment], ids=["dimension", "first moment"])
def module(request):
    return request.param


def test_levels_are_those_of_the_export(module):
    lines = module.trainings(Results.some([module.EXPORT]))
    same(means(lines, module.BY, list(module.ROWS)), module.LEVELS)
    assert set(lines["replicate"]) == set(range(5)), "five seeds"


def test_verdicts_are_those_of_the_export(module):
    computed = verdicts_of(module.judged())
    decided = ["run", "hypothesis", "decision"]
    pd.testing.assert_frame_equal(computed[decided], pd.read_csv(module.VERDICTS)[decided])


def test_comparisons_are_those_of_the_exports():
    lines = dimension.trainings(Results.some([dimension.EXPORT]))
    same(dimension.growth(lines), dimension.GROWTH)
    same(dimension.later(lines), dimension.LATER)
    lines = first_moment.trainings(Results.some([first_moment.EXPORT]))
    same(first_moment.left(lines), first_moment.LEFT)
    same(first_moment.shares(lines), first_moment.SHARES)


def made(slope, gain):
    """Trainings of two lengths; quantities grow by ``slope`` per doubling, and are ``gain`` larger in the longer."""
    return pd.DataFrame(
        {"arm": "constant rate", "updates": updates, "latent_dim": dim, "replicate": seed}
        | dict.fromkeys(dimension.ROWS, seed + slope * math.log2(dim) + gain * (updates == 6000))
        for updates in (2000, 6000)
        for dim in (2, 8, 64)
        for seed in range(3)
    )


def test_growth_is_per_doubling_and_later_updates_are_paired_by_seed():
    lines = made(1.5, 0.25)
    grown = dimension.growth(lines)
    assert grown["quantity"].unique().tolist() == list(dimension.GROWING)
    assert np.allclose(grown["value"], np.where(grown["quantity"] == "gap in F", 0.0, 1.5))
    part = lines[(lines["updates"] == 2000) | (lines["latent_dim"] < 64)]
    assert set(dimension.growth(part)["updates"]) == {2000}, "over the same dimensions, or not at all"
    shorter = made(4.0, 0.0).query("latent_dim > 2").assign(arm="learned variance")
    ranges = dimension.growth(pd.concat([lines, shorter])).query("quantity == 'rate, nats' and updates == 2000")
    assert ranges[["arm", "dimensions", "value"]].round(9).to_numpy().tolist() == [
        ["constant rate", "2 to 64", 1.5],
        ["constant rate", "8 to 64", 1.5],
        ["learned variance", "8 to 64", 4.0],
    ]
    gained = dimension.later(lines)
    assert np.allclose(gained[["value", "lower", "upper"]], 0.25), "what seeds have in common is no spread"
    assert set(gained["seeds"]) == {3}
    assert dimension.later(lines[lines["updates"] == 2000]).empty


def test_what_is_left_is_a_ratio_to_the_model_without():
    def lines(model, factor):
        cost = np.array([4.0, 5.0, 6.0]) * factor
        settings = {"loss": "summed", "updates": 500, "model": model, "replicate": range(3)}
        return pd.DataFrame(settings | {"½‖m‖²": cost, "F of prior": 100 + 3 * cost, "F of q_N": 100.0})

    found = first_moment.left(
        pd.concat([lines("learned mean of the prior", 0.25), lines(first_moment.PLAIN, 1.0)], ignore_index=True)
    )
    assert found["model"].unique().tolist() == ["learned mean of the prior"]
    assert np.allclose(found[["value", "lower", "upper"]], 0.25)


def test_shares_are_those_of_the_rule():
    """H20 on the plain model at one length reads the same cells, so that its effect is the share told here."""
    verdicts = pd.read_csv(first_moment.VERDICTS).set_index(["run", "hypothesis"])
    shares = pd.read_csv(first_moment.SHARES).query("quantity == 'share of the mean' and loss == 'summed'")
    plain = shares[shares["model"] == first_moment.PLAIN].set_index("updates")
    for updates in (500, 2000, 5000):
        judged = verdicts.loc[(f"{first_moment.PLAIN}, {updates} updates", "H20")]
        assert plain["value"][updates] == pytest.approx(float(judged["value"]), rel=1e-6)


def test_tables_have_a_row_for_each_training_and_a_dash_where_nothing_was_measured():
    lines = made(1.0, 0.5).assign(certified=np.nan)
    text = mean_table(
        means(lines, ["updates", "latent_dim"], ["rate", "certified"]),
        {"updates": "n", "latent_dim": "D"},
        ["rate", "certified"],
    )
    rows = text.splitlines()
    assert rows[:2] == ["| n | D | rate | certified |", "|---|---|---|---|"]
    assert rows[2] == "| 2000 | 2 | 2.00 ± 0.58 | – |"
    assert len(rows) == 2 + 6
    gained = dimension.later(lines)
    text = interval_table(gained, {"from": "from", "to": "to"}, "latent_dim", {2: "D = 2", 4: "D = 4"})
    assert text.splitlines()[2] == "| 2000 | 6000 | 0.5 [0.5, 0.5] | — |"
