"""The benchmarks of whole studies: their accounts add up, and a slow-down that is planted shows in its own row."""

import math
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
import yaml

from analysis import threads
from analysis.density_fits.moment_normal import MomentNormalFit
from analysis.realism.frechet import FeatureMoments
from study.measurement.samples import RealFeatures
from study.store.store import Store
from tests.benchmarks.account import stages_of
from tests.benchmarks.growth import SIZES, digits, exponent, faster_than_demanded, study_of
from tests.benchmarks.limits import Rates
from tests.benchmarks.stages import DENSITIES, FITS, MEASUREMENT, MIXTURES, REST, Spent, Stages
from tests.benchmarks.whole_study import (
    NEIGHBOURS,
    STUDIES,
    Account,
    accounted,
    by_hand,
    least,
    print_account,
    print_comparison,
)

SMALL = {
    "settings": {
        "dataset": "digits",
        "network": {"name": "mlp", "hidden": [16]},
        "latent_dim": 4,
        "seeds": 1,
        "train": {"updates": 100, "engine": "eager"},
        "evaluate": {
            "draws": 64,
            "components": [1],
            "covariances": ["diagonal"],
            "densities": ["moment_normal"],
            "importance": [1, 10],
            "two_sample_draws": 0,
            "samples": 150,
            "omit": ["gain", "growth", "bubbles"],
        },
    }
}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    file = tmp_path / "small.yaml"
    file.write_text(yaml.safe_dump(SMALL), "utf-8")
    return file


def spin(seconds: float) -> None:
    """Uses the processor for so long."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        math.sqrt(2)


def test_a_second_belongs_to_the_innermost_stage_alone():
    stages = Stages()
    with stages.stage("outer"):
        spin(0.05)
        with stages.stage("inner"):
            spin(0.1)
        spin(0.05)
    spin(0.05)
    stages.charge()
    assert stages.spent["inner"].cpu == pytest.approx(0.1, abs=0.02)
    assert stages.spent["outer"].cpu == pytest.approx(0.1, abs=0.02)
    assert stages.spent[REST].cpu == pytest.approx(0.05, abs=0.02)


def test_a_generator_is_its_stage_while_it_runs_and_not_while_its_steps_are_used():
    def steps():
        spin(0.05)
        yield 1
        spin(0.05)
        return 2

    stages, timed = Stages(), []

    def used():
        timed.append((yield from stages.timed(steps, "steps")()))

    for _ in used():
        spin(0.1)
    stages.charge()
    assert timed == [2]
    assert stages.spent["steps"].cpu == pytest.approx(0.1, abs=0.02)
    assert stages.spent[REST].cpu == pytest.approx(0.1, abs=0.02)


def test_threads_are_counted_for_the_stage_that_starts_them():
    stages = Stages()
    with stages.counting_threads(), stages.stage("pool"), ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: time.sleep(0.01), range(3)))
    assert stages.spent["pool"].threads == 3
    assert stages.spent[REST].threads == 0


def test_the_estimators_of_a_file_are_one_row_and_the_rows_are_the_whole():
    names = ["training", f"{MEASUREMENT}: realism: precision", f"{MEASUREMENT}: realism: squared_frechet", DENSITIES]
    account = Account(Spent(4.0, 4.0), {name: Spent(1.0, 1.0) for name in names})
    assert {name: spent.cpu for name, spent in account.rows().items()} == {
        "training": 1.0,
        DENSITIES: 1.0,
        f"{MEASUREMENT}: realism": 2.0,
    }
    assert account.under(MEASUREMENT).cpu == 3.0


def test_exponents_are_those_of_powers_and_more_than_demanded_is_marked():
    sizes = [100, 200, 400]
    assert exponent(sizes, [3 * size**1.5 for size in sizes]) == pytest.approx(1.5)
    assert math.isnan(exponent(sizes, [0.0, 1.0, 2.0]))
    assert faster_than_demanded("N", DENSITIES, 2.0)
    assert not faster_than_demanded("N", DENSITIES, 1.1)
    assert not faster_than_demanded("D", f"{MEASUREMENT}: spectrum", 2.9)


@pytest.mark.parametrize("size", SIZES)
def test_growth_changes_one_size_of_the_study(size, tmp_path):
    from study.design.study import Study

    def cells(value):
        file = tmp_path / f"{value}.yaml"
        file.write_text(yaml.safe_dump(study_of(size, value)), "utf-8")
        return Study.load(str(file)).cells()

    few, many = cells(2), cells(4)
    if size == "cells":
        assert (len(few), len(many)) == (2, 4)
    else:
        one, other = dict(few[0].config()), dict(many[0].config())
        one, other = (each.pop("train") | each.pop("evaluate") | each for each in (one, other))
        assert {name for name in one if one[name] != other[name]} == {SIZES[size][0].rpartition(".")[2]}


def test_digits_are_repeated_to_any_number():
    data = digits("digits", limit=3_000)
    assert len(data.images) == len(data.labels) == 3_000
    assert len(data.held_out_images) == 750
    assert len(data.images.flatten(1).unique(dim=0)) == 3_000


@pytest.mark.parametrize("name", ["vectors", "map", "remedies"])
def test_the_studies_are_studies(name):
    from study.design.study import Study

    cells = Study.load(str(STUDIES[name])).cells()
    assert len(cells) == {"vectors": 3, "map": 2, "remedies": 6}[name]
    assert all(cell.train.updates for cell in cells)


@pytest.mark.slow
def test_the_stages_of_a_study_add_up_to_its_process(small, tmp_path, capsys):
    account = accounted(small, tmp_path)
    named = {stage: spent for stage, spent in account.stages.items() if stage != REST}
    assert {"import", "data", "build", "training", MEASUREMENT, "storing", "merging", "page", "exit"} <= {
        stage.partition(": ")[0] for stage in named
    }
    for clock in ("wall", "cpu"):
        total = sum(getattr(spent, clock) for spent in named.values())
        assert total == pytest.approx(getattr(account.whole, clock), rel=0.05), clock

    store = Store(tmp_path / small.stem)
    limits = least(small, store, Rates(flops=1e11, copied=1e10, written=1e8))
    assert set(limits) == {"data", "training", DENSITIES, "storing", "merging"}
    seconds = by_hand(small, store)
    assert set(seconds) == {"training", DENSITIES, MIXTURES, NEIGHBOURS}
    assert min(*limits.values(), *seconds.values()) > 0
    print_account(account, limits)
    print_comparison(account, seconds)
    printed = capsys.readouterr().out
    assert all(name.removeprefix(f"{MEASUREMENT}: ") in printed for name in (*limits, *seconds, "exit"))


@pytest.mark.slow
def test_a_planted_slow_down_shows_in_the_row_of_its_family(small, tmp_path, monkeypatch, capfd):
    def rows(name: str) -> dict[str, Spent]:
        return Account(Spent(), stages_of(small, tmp_path / name)).rows()

    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)  # of the kernels that release the interpreter lock
    rows("warm")
    usual = rows("usual")

    with monkeypatch.context() as planted:
        # At every use a hundred times: once is hardly more than what other work on the cores changes.
        fits = property(lambda real: [FeatureMoments(real.features) for _ in range(100)][-1])
        planted.setattr(RealFeatures, "moments", fits)
        refitted = rows("refitted")
    realism = f"{MEASUREMENT}: realism"
    assert refitted[realism].cpu > 1.3 * usual[realism].cpu

    with monkeypatch.context() as planted:
        fit = MomentNormalFit.fit_vectors
        planted.setattr(MomentNormalFit, "fit_vectors", lambda *given: (spin(0.5), fit(*given))[1])
        slower = rows("slower")
    assert slower[FITS].cpu > usual[FITS].cpu + 0.4

    with monkeypatch.context() as planted:
        planted.setattr(threads, "_pool", lambda number: ThreadPoolExecutor(number, "planted"))
        pools = rows("pools")
    for family in (DENSITIES, f"{MEASUREMENT}: total_correlation"):
        assert pools[family].threads >= usual[family].threads + 2
    assert sum(row.threads for row in usual.values()) <= 2
