"""Comparison by held-out log p(x): the same images, best first, with paired errors."""

import io
import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from study.answers.comparison import COLUMNS, held_out
from study.answers.comparisons import VIEWS
from study.answers.formats import Comparison
from study.answers.listing import WIDEST
from study.answers.remedies import POOLED
from study.answers.results import Results
from study.cli import main
from study.errors import ConfigurationError
from study.store.contents import Held

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(-20, 3, size=200)


def cell(prior, shift, dim=2, images="a", sizes=(1, 10), number=200, binarisation="dynamic"):
    bounds = {f"log_px_{size}": (("chain", "image"), np.stack([IMAGES[:number] + shift] * 2)) for size in sizes}
    settings = {"prior": prior, "latent_dim": dim, "latent": str(dim), "dataset": "digits", "likelihood": "bernoulli"}
    settings["binarisation"] = binarisation
    config = {"prior": {"name": prior}, "latent_dim": dim}
    measured = {"aggregate/train/kl": np.array([[4.0, 1.0], [6.0, 1.0]])}
    return SimpleNamespace(
        key=f"{prior}{dim}{images}{number}{binarisation}",
        manifest=SimpleNamespace(config=config, images=images, details={"training_seconds": 3.5}),
        settings=settings,
        groups={"importance_bounds"},
        contents=Held(xr.DataTree.from_dict({"importance_bounds": xr.Dataset(bounds)})),
        numbers=measured.get,
        identity=(prior, dim),
        seeds=(0, 1),
    )


def test_models_are_ranked_by_their_sum_over_the_same_images():
    noise = RNG.normal(0, 0.1, size=200)
    table = held_out(Results((cell("vamp", 0.0), cell("flow", -1.0 + noise))))
    assert list(table.columns) == COLUMNS
    assert list(table["model"]) == ["vamp", "flow"]
    assert list(table["draws"]) == [10, 10]
    best, worse = table.to_dict("records")
    assert best["elpd"] == pytest.approx(IMAGES.sum())
    assert worse["elpd_diff"] == pytest.approx((noise - 1).sum())
    assert worse["dse"] == pytest.approx(np.std(noise) * np.sqrt(200), rel=0.01)
    assert (best["kl"], best["kl_se"], best["training_seconds"]) == (5.0, 1.0, 3.5)
    assert np.isnan(best["frechet_prior"])
    assert best["se"] == pytest.approx(np.std(IMAGES, ddof=1) * np.sqrt(200))


def test_other_images_and_other_dimensions_are_not_compared():
    others = cell("flow", 0, images="b"), cell("lars", 0, dim=4), cell("maf", 0, number=100)
    assert held_out(Results((cell("vamp", 0), *others))).empty


def test_binarised_and_grey_images_are_ranked_apart_one_ranking_after_the_other():
    cells = [cell(f"{name}{how}", -i, binarisation=how) for i, name in enumerate("abc") for how in ("none", "dynamic")]
    table = held_out(Results(tuple(cells)))
    assert list(table["ranking"]) == [1, 1, 1, 2, 2, 2]
    assert list(table["rank"]) == [0, 1, 2] * 2
    assert list(table["binarisation"]) == ["dynamic"] * 3 + ["none"] * 3
    assert all(model.endswith(how) for model, how in zip(table["model"], table["binarisation"], strict=True))


def test_levels_of_a_single_seed_have_the_error_of_their_evaluation():
    one = cell("vamp", 0.0)
    one.numbers = {"realism/prior/squared_frechet": np.array([[50.0, 2.5]])}.get
    line = held_out(Results((one, cell("flow", -1.0)))).iloc[0]
    assert (line["frechet_prior"], line["frechet_prior_se"]) == (50.0, 2.5)


def test_the_largest_number_of_draws_that_the_most_have_is_used():
    assert set(held_out(Results((cell("vamp", 0), cell("flow", -1, sizes=(1,)))))["draws"]) == {1}
    others = cell("vamp", 0, sizes=(1, 10, 100)), cell("flow", -1, sizes=(1, 50))
    assert set(held_out(Results(others))["draws"]) == {1}, "each has a larger number, and not the same"


def test_a_cell_without_the_bound_that_the_others_have_is_left_out():
    cells = cell("vamp", 0, sizes=(10,)), cell("flow", -1, sizes=(10,)), cell("lars", 0, sizes=(50,))
    assert set(held_out(Results(cells))["model"]) == {"vamp", "flow"}
    assert held_out(Results(cells[1:])).empty


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """A results folder in name alone: what is compared are three cells of two data sets."""
    (tmp_path / "cells").mkdir()
    cells = [cell("vamp", 0.0), cell("flow", -1.0), cell("lars", -2.0)]
    cells[2].settings["dataset"] = "mnist"
    monkeypatch.setattr(Results, "load", classmethod(lambda *_: Results(tuple(cells))))
    known = {"remedy": "vamp", "kind": "prior", "of": "standard_normal, network.hidden=[32,32]", "seeds": 3}
    levels = {"prior": 100.0, "aggregate": 20.0, "remedied": 60.0, "remedied_aggregate": 21.0, "repeats": False}
    shares = {"latent_dim": [POOLED, 2], "share": [0.5, math.nan], "lower": [0.4, math.nan], "upper": [0.6, math.nan]}
    ranked = pd.DataFrame(shares).assign(**known, **levels)
    view = VIEWS[Comparison.QUALITY]._replace(make=lambda _: ranked)
    monkeypatch.setitem(VIEWS, Comparison.QUALITY, view)
    return tmp_path


@pytest.mark.parametrize("words", [[], ["--by", "quality"], ["--by", "log_px"]])
def test_what_a_program_reads_is_one_table_and_nothing_else(stored, capsys, words):
    assert main(["compare", str(stored), *words, "--format", "csv"]) == 0
    table = pd.read_csv(io.StringIO(capsys.readouterr().out))
    if "log_px" in words:
        assert list(table["model"]) == ["vamp", "flow"]
    else:
        assert list(table["dataset"]) == ["digits", "digits", "mnist", "mnist"]
        assert list(table["latent_dim"]) == ["all", "2"] * 2


def test_what_a_person_reads_is_both_under_their_titles(stored, capsys):
    assert main(["compare", str(stored)]) == 0
    shown = capsys.readouterr().out
    assert shown.index("share of the quality gap closed") < shown.index("held-out log p(x)") < shown.index("flow")
    assert "digits, D = all, standard_normal, network.hidden=[32,32]: F prior 100, F aggregate 20, gap 80\n" in shown
    assert "vamp (prior)  60     21  0.5 [0.4, 0.6]      3\n" in shown
    assert "vamp (prior)  60     21               –      3\n" in shown
    assert "ranking 1: digits, D = 2, binarisation=dynamic, likelihood=bernoulli, 200 images, 10 draws\n" in shown
    assert "binarised and grey images are ranked apart" in " ".join(shown.split())
    assert max(map(len, shown.splitlines())) <= WIDEST


def test_without_a_finished_cell_nothing_is_compared(tmp_path, capsys):
    (tmp_path / "cells").mkdir()
    assert main(["compare", str(tmp_path)]) == ConfigurationError.exit_code
    assert "no finished cell" in capsys.readouterr().err
