"""Comparison by held-out log p(x): the same images, best first, with paired errors."""

import io
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from study.answers.comparison import COLUMNS, held_out
from study.answers.remedies import POOLED
from study.answers.results import Results
from study.cli import main
from study.errors import ConfigurationError
from study.store.contents import Held

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(-20, 3, size=200)


def cell(prior, shift, dim=2, images="a", sizes=(1, 10)):
    bounds = {f"log_px_{size}": (("chain", "image"), np.stack([IMAGES + shift, IMAGES + shift])) for size in sizes}
    settings = {"prior": prior, "latent_dim": dim, "latent": str(dim), "dataset": "digits", "likelihood": "bernoulli"}
    config = {"prior": {"name": prior}, "latent_dim": dim}
    measured = {"aggregate/train/kl": np.array([[4.0, 1.0], [6.0, 1.0]])}
    return SimpleNamespace(
        key=f"{prior}{dim}{images}",
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
    assert held_out(Results((cell("vamp", 0), cell("flow", 0, images="b"), cell("lars", 0, dim=4)))).empty


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
    ranked = pd.DataFrame({"latent_dim": [POOLED, 2], "share": [0.5, 1]})
    monkeypatch.setattr("study.answers.comparisons.remedies", lambda _: ranked)
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
    assert shown.index("share of the quality gap closed") < shown.index("held-out log p(x)") < shown.index("vamp")


def test_without_a_finished_cell_nothing_is_compared(tmp_path, capsys):
    (tmp_path / "cells").mkdir()
    assert main(["compare", str(tmp_path)]) == ConfigurationError.exit_code
    assert "no finished cell" in capsys.readouterr().err
