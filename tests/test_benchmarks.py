"""The benchmarks of whole studies: their accounts add up, and a slow-down that is planted shows in its own row."""

import json
import math
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch.utils.flop_counter import FlopCounterMode

from analysis import threads
from analysis.density_fits.moment_normal import MomentNormalFit
from analysis.realism.frechet import FeatureMoments
from study.design.parts import resolve
from study.measurement.samples import RealFeatures
from study.store.store import Store
from tests.benchmarks import by_pythae
from tests.benchmarks.account import stages_of
from tests.benchmarks.growth import SIZES, digits, exponent, faster_than_demanded, study_of
from tests.benchmarks.limits import Rates
from tests.benchmarks.products import layers, multiply_adds
from tests.benchmarks.stages import DENSITIES, FITS, MEASUREMENT, MIXTURES, REST, Spent, Stages
from tests.benchmarks.training_step import in_own_environment, new_vaes
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


NETWORKS_OF_FITS = [{"name": "flow", "max_epochs": 3}, {"name": "second_stage", "max_epochs": 3, "hidden_width": 16}]


@pytest.fixture(scope="module")
def replicate():
    from study.design.study import Study
    from study.measurement.replicate import Replicate
    from study.run.data.binarisation import binarised, realistic
    from study.run.experiment import load_images, new_replicate

    settings = SMALL["settings"] | {"evaluate": {"densities": ["moment_normal", *NETWORKS_OF_FITS], "samples": 7}}
    (cell,) = Study(name="small", settings=settings).cells()
    data = load_images(cell, None)
    fixed, grey = binarised(data, cell.binarisation), realistic(data, cell.binarisation)
    return Replicate(new_replicate(cell, data, 0).eval(), fixed, grey, cell.evaluate, seed=0)


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
    assert len(cells) == {"vectors": 3, "map": 1, "remedies": 6}[name]
    assert all(cell.train.updates for cell in cells)


def test_each_density_has_the_samplers_of_pythae_that_do_its_work():
    def shown(value):
        return [(task.label, task.sampler, task.config) for task in by_pythae.tasks(resolve("density", value))]

    mixture = {"name": "gaussian_mixture", "num_components": (1, 3)}
    label = resolve("density", mixture).label
    assert shown(mixture) == [(label, "GaussianMixtureSampler", {"n_components": number}) for number in (1, 3)]
    layers = {"second_stage_depth": 2, "second_layers_dim": 16}
    assert shown({"name": "second_stage", "hidden_width": 16}) == [
        ("second_stage[hidden_width=16]", "TwoStageVAESampler", layers)
    ]
    blocks = {"n_made_blocks": 3, "n_hidden_in_made": 2, "hidden_size": 128}
    affine = ("flow[kind=affine]", "MAFSampler", blocks)
    assert shown("flow") == [("flow", "MAFSampler", blocks), affine]
    assert shown({"name": "flow", "kind": "affine"}) == [affine]
    assert shown("moment_normal") == shown("aggregate_kernel") == []


@pytest.mark.parametrize("part", [resolve("density", value) for value in NETWORKS_OF_FITS], ids=lambda part: part.name)
def test_the_fit_that_is_compared_is_that_of_the_measurement(part, replicate):
    from study.measurement.densities import fitted

    density, seconds = by_pythae.fitted_here(part, replicate)
    measured = next(each.fit for each in fitted(replicate) if each.name == part.label)
    z = replicate.train.codes.z[:5]
    assert torch.equal(density.log_prob(z), measured.log_prob(z))
    assert seconds.rounds == 3
    assert min(seconds.here, seconds.draws_here) > 0


def test_pythae_gets_the_codes_the_training_and_the_epochs_of_the_fit_here(replicate, monkeypatch, capsys):
    given = {}

    def own_environment(script, packages, file, entries, draws):
        with np.load(file) as codes:
            given.update(codes)
        given["entries"], given["draws"] = json.loads(entries), draws
        return json.dumps([{"fit": 1.0, "draws": 0.5} for _ in given["entries"]])

    monkeypatch.setattr(by_pythae, "in_own_environment", own_environment)
    mixture = resolve("density", {"name": "gaussian_mixture", "num_components": (1, 2, 1_000)})
    wanted = [task for part in (mixture, resolve("density", NETWORKS_OF_FITS[1])) for task in by_pythae.tasks(part)]
    rows = by_pythae.of_replicate(wanted, replicate)
    held_out = replicate.held_out.codes.z.numpy()
    assert np.array_equal(given["train"], replicate.train.codes.z.numpy())
    assert len(given["choice"]) == (len(held_out) + 1) // 2
    assert {code.tobytes() for code in given["choice"]} <= {code.tobytes() for code in held_out}
    assert [entry["config"].get("n_components") for entry in given["entries"]] == [1, 2, None]  # 1,000 are refused
    trained = {"learning_rate": 1e-3, "per_device_train_batch_size": 256, "per_device_eval_batch_size": 1024}
    assert [entry["training"] for entry in given["entries"]] == [None, None, trained | {"num_epochs": 3}]
    assert given["draws"] == "7"

    total = {label: sum((each for name, each in rows if name == label), by_pythae.Seconds()) for label, _ in rows}
    assert [(each.rounds, each.pythae, each.draws_pythae) for each in total.values()] == [(2, 2, 1), (3, 1, 0.5)]
    by_pythae.print_peers(total)
    printed = capsys.readouterr().out
    assert all(label in printed for label in total)


@pytest.mark.slow
def test_samplers_of_pythae_fit_given_codes(tmp_path):
    if shutil.which("uv") is None:
        pytest.skip("uv, which makes environments, is not installed")
    codes = np.random.default_rng(0).normal(size=(500, 4)).astype(np.float32)
    np.savez(tmp_path / "codes.npz", train=codes[:400], choice=codes[400:])
    wanted = [
        task
        for value in ({"name": "gaussian_mixture", "num_components": (2,)}, NETWORKS_OF_FITS[1], "flow")
        for task in by_pythae.tasks(resolve("density", value))
    ]
    given = (str(tmp_path / "codes.npz"), json.dumps([task.entry(2) for task in wanted]), "5")
    printed = in_own_environment("pythae_samplers.py", ["pythae", "setuptools<81"], *given)
    seconds = json.loads(printed.splitlines()[-1])
    assert len(seconds) == len(wanted)
    assert min(value for each in seconds for value in (each["fit"], each["draws"])) > 0


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


@pytest.mark.parametrize("network", ["mlp 784-400-400-32", "conv"])
def test_multiply_adds_are_thrice_those_of_the_layers_without_the_gradient_of_the_images(network):
    vae, images = new_vaes(network)[0], torch.rand(3, 1, 28, 28)
    forward = []
    for layer, given in layers(vae, images):
        with FlopCounterMode(display=False) as counter:
            layer(given)
        forward.append(counter.get_total_flops() // 2)
    assert multiply_adds(vae, images) == 3 * sum(forward) - forward[0] > 0
