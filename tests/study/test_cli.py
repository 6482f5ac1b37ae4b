"""The verbs: run, status, summary, list; with a stand-in for the experiment, and once with the real one."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

import study.run.launch
from study.cli import main
from study.design.families import DATASETS, PRIORS
from study.design.study import presets
from study.errors import TrainingFailed
from study.run.progress import Progress
from study.store.store import RESULT, Store

ROOT = Path(__file__).parents[2]


@pytest.fixture
def computed(tmp_path, monkeypatch):
    """Runs in an empty folder with a stand-in for run_cell; gives the list of cells that it was called for."""
    cells = []

    def run_cell(cell, workspace, *, device, data_root, report):
        cells.append(cell)
        if cell.latent_dim == 13:
            raise TrainingFailed(3, "rate")
        report(Progress("training", 1, 1, loss=90.0, rate=20.0, distortion=70.0, images_per_second=1e4))
        shape = (cell.seeds, 2, 1)
        fields = {"value": float(cell.latent_dim), "standard_error": 0.5, "n": 100, "num_draws": 64}
        aggregate = xr.Dataset(
            {name: (("chain", "split", "quantity"), np.full(shape, value)) for name, value in fields.items()}
            | {name: (("chain", "split", "quantity"), np.full(shape, text)) for name, text in
               {"bound": "unbiased", "flags": ""}.items()},
            coords={"chain": np.arange(cell.seeds), "split": ["train", "held_out"], "quantity": ["rate"]},
        )  # fmt: skip
        tree = xr.DataTree.from_dict({"aggregate": aggregate})
        return SimpleNamespace(tree=tree, weights={"w": np.ones(2, np.float32)}, details={"engine": "none"})

    monkeypatch.setattr(study.run.launch, "run_cell", run_cell)
    monkeypatch.chdir(tmp_path)
    return cells


def run(*words):
    return main(["run", *words, "--workers", "1"])


def test_run_computes_stores_and_prints_the_table(computed, capsys):
    assert run("smoke") == 0
    out, err = capsys.readouterr()
    assert [(c.prior.name, c.latent_dim) for c in computed] == [
        (p, d) for p in ("standard_normal", "vamp") for d in (2, 4)
    ]
    assert "standard_normal" in out
    assert "vamp" in out
    assert "results/smoke" in out
    assert "[4/4]" in err
    assert len(list(Path("results/smoke/cells").glob("*/manifest.json"))) == 4


def test_the_same_command_computes_nothing_twice(computed, capsys):
    assert run("smoke") == run("smoke") == 0
    assert len(computed) == 4
    assert capsys.readouterr().err.count("already stored") == 4


def test_a_damaged_cell_is_computed_again_and_kept_aside(computed):
    run("smoke")
    (damaged, *_) = sorted(Path("results/smoke/cells").glob(f"*/{RESULT}"))
    damaged.write_bytes(b"")
    assert run("smoke") == 0
    assert len(computed) == 5
    assert (damaged.parent.with_suffix(".corrupt-1") / RESULT).read_bytes() == b""


def test_a_word_with_an_equals_sign_overrides_the_default_preset(computed):
    one = ("beta=1", "binarisation=dynamic", "objective=elbo", "train.epochs=9", "evaluate.padding=[]")
    assert run("prior=vamp", "latent_dim=2", *one, "seeds=1") == 0
    (cell,) = computed
    assert (cell.dataset.name, cell.prior.name, cell.latent_dim, cell.seeds) == ("mnist_5k", "vamp", 2, 1)
    assert Path("results/first_look/cells").is_dir()


def test_a_file_is_a_study(computed, tmp_path):
    (tmp_path / "sweep.yaml").write_text("settings: {seeds: 1}\nfactors: {latent_dim: [3, 5]}\n")
    assert run("sweep.yaml", "beta=2") == 0
    assert [(c.latent_dim, c.beta) for c in computed] == [(3, 2), (5, 2)]
    assert Path("results/sweep").is_dir()


def test_a_dry_run_tells_what_is_done_and_writes_nothing(computed, capsys, tmp_path):
    assert run("smoke", "--dry-run") == 0
    assert "4 cells: 4 missing" in capsys.readouterr().out
    assert computed == []
    assert list(tmp_path.iterdir()) == []
    run("smoke", "prior=vamp")
    capsys.readouterr()
    assert run("smoke", "--dry-run") == 0
    out = capsys.readouterr().out
    assert "2 missing" in out
    assert "2 done" in out


def test_shards_together_are_the_study(computed):
    assert [run("smoke", "--shard", f"{i}/3") for i in (1, 2, 3)] == [0, 0, 0]
    assert len(computed) == len({cell.key for cell in computed}) == 4


def test_partial_results_have_their_exit_code_and_are_shown(computed, capsys):
    assert run("smoke", "latent_dim=2,13", "prior=vamp") == 5
    out, err = capsys.readouterr()
    assert "vamp" in out
    assert err.splitlines()[-1] == "error: 1 of 2 cells failed; `latent-study status results` tells why"
    assert main(["status"]) == 0
    out = capsys.readouterr().out
    assert "1 done, 1 failed" in out
    assert "rate is not finite at step 3" in out
    assert "the same command tries again: latent-study" in out


def test_a_study_whose_cells_all_fail_says_only_that(computed, capsys):
    assert run("smoke", "latent_dim=13", "prior=vamp") == 5
    assert "error: 1 of 1 cells failed" in capsys.readouterr().err


def test_other_images_are_refused_and_nothing_is_lost(computed, capsys, tmp_path):
    from PIL import Image

    rng = np.random.default_rng(0)
    for root in ("one", "two"):
        (tmp_path / root).mkdir()
        for index in range(5):
            Image.fromarray(rng.integers(0, 255, (8, 8), dtype=np.uint8)).save(tmp_path / root / f"{index}.png")
    words = ["smoke", "dataset=folder", "limit=none", "latent_dim=2", "prior=vamp", "--data-root"]
    assert run(*words, "one") == 0
    assert run(*words, "one") == 0
    capsys.readouterr()
    assert run(*words, "two") == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert "other images" in line
    assert "--results" in line
    assert len(computed) == 1
    assert main(["status"]) == 0
    assert "1 done" in capsys.readouterr().out


def test_summary_writes_a_table_csv_and_json(computed, capsys):
    run("smoke")
    run("latent_dim=2", "prior=vamp")
    capsys.readouterr()
    assert main(["summary"]) == 0
    table = capsys.readouterr().out
    assert "first_look" in table
    assert "smoke" in table
    assert main(["summary", "results/smoke", "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {(row["prior"], row["latent_dim"], float(row["mean"])) for row in rows} == {
        (prior, str(d), float(d)) for prior in ("standard_normal", "vamp") for d in (2, 4)
    }
    assert main(["summary", "results", "--format", "json"]) == 0
    records = json.loads(capsys.readouterr().out)
    assert {record["study"] for record in records} == {"smoke", "first_look"}


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("presets", ["digits", "mnist", "smoke", "latent_dim=2,8,32,128"]),
        ("priors", ["vamp", "prior.components=50", "arXiv:1705.07120", *PRIORS]),
        ("posteriors", ["diagonal_normal", "posterior.min_scale="]),
        ("likelihoods", ["bernoulli"]),
        ("networks", ["conv", "network.channels=[32,64]", "network.hidden=[400,400]"]),
        ("objectives", ["elbo"]),
        ("datasets", ["dataset.colour=", *DATASETS]),
        ("settings", ["train.epochs", "[diagonal,full]", "beta"]),
        (None, [*presets(), *PRIORS, *DATASETS, "train.epochs"]),
    ],
)
def test_list_describes_what_there_is(capsys, what, names):
    assert main(["list", *([what] if what else [])]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in names)
    assert max(map(len, out.splitlines())) <= 160


@pytest.mark.parametrize("words", [[], ["--help"], ["run", "--help"], ["summary", "-h"]])
def test_help(capsys, words):
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert "Usage" in out
    assert err == ""


def shell(*words, **options):
    command = [sys.executable, "-m", "study", *words]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        **options,
    )


def test_help_does_not_wait_for_torch():
    code = "import sys, study.cli; study.cli.main(['run', '--help']); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0


@pytest.mark.slow
def test_the_smoke_study_for_real(tmp_path):
    with shell("run", "smoke", cwd=tmp_path) as process:
        out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert "vamp" in out
    trees = Store(tmp_path / "results" / "smoke").load()
    assert set(trees) == {"standard_normal", "vamp"}
    assert trees["vamp"]["aggregate"]["latent_dim"].values.tolist() == [2, 4]


@pytest.mark.slow
def test_a_signal_to_a_real_run_loses_nothing(tmp_path):
    """A run stopped in training and resumed gives the very weights of a run left alone."""
    words = [
        "run",
        "smoke",
        "latent_dim=2",
        "prior=vamp",
        "seeds=1",
        "train.epochs=200",
        "--workers",
        "1",
        "--no-report",
    ]
    with shell(*words, "--results", "whole", cwd=tmp_path) as process:
        _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    with shell(*words, "--results", "broken", cwd=tmp_path) as process:
        cells = tmp_path / "broken" / "smoke" / "cells"
        deadline = time.monotonic() + 200
        while not list(cells.glob("*.partial/cell.json")) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=200)
    assert process.returncode == 130, err
    assert "the same command resumes" in err.splitlines()[-1]
    assert "Traceback" not in err
    (workspace,) = cells.glob("*.partial")
    assert len(list(workspace.iterdir())) > 1
    with shell(*words, "--results", "broken", cwd=tmp_path) as process:
        _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    whole, broken = (next((tmp_path / name).rglob("weights.safetensors")).read_bytes() for name in ("whole", "broken"))
    assert whole == broken


LIGHT = {
    "status": ["status"],
    "list": ["list"],
    "help": ["--help"],
    "help of run": ["run", "--help"],
    "help of diagnose": ["diagnose", "--help"],
    "refusal of diagnose": ["diagnose", "a/codes.npz", "b/codes.npz"],
}
HEAVY = {"torch", "pyro", "pandas", "xarray", "matplotlib", "sklearn", "scipy", "numba"}


@pytest.mark.parametrize("words", LIGHT.values(), ids=LIGHT)
def test_what_only_looks_imports_nothing_heavy(computed, words):
    run("smoke", "prior=vamp")
    code = f"import sys; from study.cli import main; main({words}); print(*sorted({HEAVY} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == ""


NOT_FOR_READING = {"torch", "pyro", "sklearn", "numba"}


def test_a_run_whose_cells_need_no_classifier_of_trees_imports_none():
    words = ["run", "first_look", "--dry-run"]
    code = f"import sys; from study.cli import main; main({words}); print('sklearn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize("verb", ["summary", "compare", "verdict", "report"])
def test_reading_results_imports_no_training_stack(computed, verb):
    run("smoke")
    heavy = f"{NOT_FOR_READING} & sys.modules.keys()"
    code = f"import sys; from study.cli import main; main(['{verb}']); print(*sorted({heavy}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.splitlines()[-1] == ""
