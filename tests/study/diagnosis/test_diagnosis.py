"""A diagnosis against closed forms, planted mismatches, and the cell of a model that this project trained."""

import math
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Bernoulli, Independent, Laplace, Normal

from analysis.float32 import full_float32
from analysis.randomness import stream
from study.cli import main
from study.design.cell import Cell, Evaluate
from study.diagnosis import diagnose, diagnose_codes
from study.diagnosis.codes import from_arrays
from study.diagnosis.diagnose import evaluation
from study.diagnosis.evidence import Evidence
from study.diagnosis.questions.mismatch import certified, share
from study.errors import DataError
from study.measurement.images import ImageData
from study.measurement.measure import Measuring, measure
from study.run.building import new_vae
from study.store.store import RESULT, Store

FEW = evaluation(draws=400, densities=())


def of_arrays(loc, scale, evaluate=FEW, **settings):
    codes, held_out, said = from_arrays({"loc": loc, "scale": scale})
    return diagnose_codes(codes, held_out, said=said, evaluate=evaluate, **settings)


def evidence_of(answer):
    return Evidence(answer.tree, dict(answer.details))


def gaussian_codes(num, dim, mean=0.0, sd=1.0, within=0.6, seed=0, name="codes"):
    """Codes whose aggregate is N(mean, sd² I) in law: posteriors of variance ``within`` about normal means."""
    generator = stream(seed, name)
    spread = torch.tensor(sd).square() - within
    loc = mean + spread.sqrt() * torch.randn(num, dim, generator=generator)
    return loc.numpy(), np.full((num, dim), math.sqrt(within), np.float32)


def test_linear_gaussian_codes_have_their_closed_form():
    mean, sd, within, dim = 0.5, 1.3, 0.6, 3
    found = evidence_of(of_arrays(*gaussian_codes(4_000, dim, mean, sd, within)))
    kl = dim * (mean**2 + sd**2 - 1 - math.log(sd**2)) / 2
    information = dim * math.log(sd**2 / within) / 2
    rate = found("aggregate/train/rate")
    assert abs(rate.value - kl - information) < 4 * rate.standard_error + 0.1
    lower, upper = found("aggregate/train/kl_lower"), found("aggregate/train/kl_upper")
    assert lower.value - 4 * lower.standard_error < kl < upper.value + 4 * upper.standard_error
    assert found.number("aggregate/train/kl_mean") == pytest.approx(dim * mean**2 / 2, rel=0.1)


def test_what_may_be_due_to_a_finite_number_of_observations_is_said():
    few = evidence_of(of_arrays(*gaussian_codes(200, 64, within=0.02)))
    many = evidence_of(of_arrays(*gaussian_codes(4_000, 2, mean=1.0)))
    assert few.number("aggregate/train/kl") > 100
    assert "of which up to 100% may be due to N being finite" in share(few, few.number("aggregate/train/kl_residual"))
    assert share(many, many.number("aggregate/train/kl")) == "100% of KL(q_N ‖ p)"
    assert share(many, math.nan) == ""


@pytest.mark.parametrize("planted", ["mean", "variance"])
def test_planted_nats_are_found_where_they_were_planted(planted):
    loc, scale = gaussian_codes(3_000, 6)
    nats = 2.0
    if planted == "mean":
        loc[:, 4] += math.sqrt(2 * nats)
    else:  # v − 1 − ln v = 2 nats, of the aggregate in law
        loc[:, 4] = loc[:, 4] / np.sqrt(0.4) * math.sqrt(6.5 - 0.6)
    answer = of_arrays(loc, scale)
    kinds = {name: evidence_of(answer).record("dimensions", f"kl_{name}") for name in ("mean", "variance")}
    expected = nats if planted == "mean" else (6.5 - 1 - math.log(6.5)) / 2
    assert kinds[planted].argmax() == 4
    assert kinds[planted][4] == pytest.approx(expected, rel=0.1)
    assert sum(values.sum() for values in kinds.values()) == pytest.approx(expected, rel=0.15)
    assert "worst dimensions, nats in mean and variance; 4 (" in str(answer)
    assert "yes: held-out codes certify" in str(answer)


@pytest.mark.parametrize("dim", [8, 1_024, pytest.param(65_536, marks=[pytest.mark.long, pytest.mark.slow])])
def test_inert_dimensions_change_nothing(dim):
    loc, scale = gaussian_codes(300, 4, mean=1.0)
    padded = [np.concatenate([a, np.full((300, dim - 4), b, np.float32)], 1) for a, b in ((loc, 0), (scale, 1))]
    few = evaluation(draws=60, densities=())
    plain, inert = (evidence_of(of_arrays(*codes, few)) for codes in ((loc, scale), padded))
    for name in ("kl_mean", "kl_variances", "active_units_by_kl"):
        address = f"aggregate/train/{name}"
        assert inert.number(address) == pytest.approx(plain.number(address), rel=1e-4, abs=1e-6)
    kl = inert("aggregate/train/rate")
    assert abs(kl.value - plain.number("aggregate/train/rate")) < 6 * kl.standard_error + 0.02


def test_a_posterior_that_is_the_prior_raises_no_alarm():
    loc, scale = np.zeros((200, 3), np.float32), np.ones((200, 3), np.float32)
    loc[0] = 1e-6  # codes that are all alike are refused
    answer = of_arrays(loc, scale)
    assert "certify none" in str(answer)
    assert "posterior collapse" in str(answer)


@pytest.mark.slow
def test_a_copy_of_the_prior_is_flagged_at_most_once_in_twenty():
    few = evaluation(draws=60, densities=("moment_normal",))
    alarms = 0
    for seed in range(200):
        answer = of_arrays(*gaussian_codes(150, 2, seed=seed, name="copies of the prior"), few)
        alarms += certified(evidence_of(answer))
    assert alarms <= 10


class Small(nn.Module):
    """A VAE as anybody writes it, with dropout, in training mode."""

    def __init__(self):
        super().__init__()
        self.enc, self.dec = nn.Linear(64, 6), nn.Linear(3, 64)
        self.drop = nn.Dropout(0.5)

    def encode(self, x):
        loc, log_variance = self.enc(self.drop(x.flatten(1))).chunk(2, 1)
        return loc, (log_variance / 2).exp()

    def decode(self, z):
        return self.dec(z).sigmoid().reshape(-1, 1, 8, 8)


@pytest.fixture
def small():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Small()


def pictures(num=400, seed=0):
    return torch.rand(num, 1, 8, 8, generator=stream(seed, "pictures"))


def test_mode_random_state_and_gradients_are_as_they_were(small):
    small.dec.eval()
    before, modes = torch.get_rng_state(), [part.training for part in small.modules()]
    diagnose(small.encode, small.decode, images=pictures(), evaluate=evaluation(draws=50, samples=20, densities=()))
    assert torch.equal(torch.get_rng_state(), before)
    assert [part.training for part in small.modules()] == modes
    assert all(parameter.grad is None for parameter in small.parameters())


def test_modes_come_back_after_an_error_too(small):
    with pytest.raises(DataError):
        diagnose(lambda x: small.encode(x)[0], images=pictures())
    assert small.training


def test_the_weight_of_the_kl_is_read_off_a_linear_decoder():
    """The posterior of a linear decoder W under squared error / 2 + w KL: precision 1 + w_d²/w by dimension."""
    weight, gains = 0.3, torch.tensor([2.0, 1.0, 0.5])
    scale = (1 + gains.square() / weight).rsqrt()

    def encode(x):
        return x.flatten(1)[:, :3] - 0.5, scale.expand(len(x), 3)

    def decode(z):
        flat = torch.cat([z * gains, z.new_zeros(len(z), 61)], 1) / 10 + 0.5
        return flat.reshape(-1, 1, 8, 8)

    few = evaluation(draws=100, samples=0, densities=())
    found = evidence_of(diagnose(encode, decode, images=pictures(), evaluate=few))
    assert found.record("weight", "value") == pytest.approx(weight / 100, rel=1e-3)


@pytest.mark.parametrize("kind", ["images", "logits", "distribution"])
def test_decoders_of_every_kind(small, kind):
    decode = {
        "images": (small.decode, "identity"),
        "logits": (lambda z: small.dec(z).reshape(-1, 1, 8, 8), "sigmoid"),
        "distribution": (lambda z: Bernoulli(small.decode(z), validate_args=False), "identity"),
    }[kind]
    few = evaluation(draws=50, samples=150, importance=(1, 2), importance_images=5, densities=())
    found = evidence_of(diagnose(small.encode, decode[0], link=decode[1], images=pictures(), evaluate=few))
    assert 0 < found.number("aggregate/train/reconstruction_error") < 0.5
    assert (found("aggregate/train/elbo") is not None and not found("aggregate/train/elbo").is_refused) == (
        kind == "distribution"
    )
    level = found("realism/prior/squared_kernel_distance")
    assert "features of an untrained network" in level.flags
    assert math.isfinite(level.value)


def test_features_and_classes_of_the_caller(small):
    few = evaluation(draws=50, samples=40, densities=())
    own = diagnose(small.encode, small.decode, images=pictures(), features=lambda x: x.flatten(1)[:, :5], evaluate=few)
    assert "features of the caller" in evidence_of(own)("realism/prior/squared_frechet").flags
    assert evidence_of(own)("realism/prior/confidence").is_refused


def test_a_prior_may_be_any_distribution(small):
    prior = Independent(Laplace(torch.zeros(3), torch.ones(3)), 1)
    found = evidence_of(diagnose(small.encode, images=pictures(), prior=prior, evaluate=FEW))
    assert found("aggregate/train/kl_mean").is_refused
    assert math.isfinite(found.number("aggregate/train/rate"))
    standard = [
        evidence_of(diagnose(small.encode, images=pictures(), prior=p, evaluate=FEW)).number("aggregate/train/rate")
        for p in ("standard_normal", Normal(0.0, 1.0), Normal(torch.zeros(3), torch.ones(3)))
    ]
    assert len(set(standard)) == 1


def test_a_model_of_ours_gives_the_numbers_of_its_cell():
    settings = {
        "draws": 80,
        "importance": (1, 2),
        "importance_images": 5,
        "samples": 40,
        "densities": ("moment_normal",),
    }
    evaluate = Evaluate.model_validate(settings)
    cell = Cell.from_config({"latent_dim": 2, "network": {"name": "mlp", "hidden": [8]}, "binarisation": "none"})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        vae = new_vae(cell, (1, 8, 8)).eval()
    images, others = pictures(160), pictures(100, seed=1)
    labels = [torch.arange(len(part)) % 2 for part in (images, others)]
    data = ImageData("noise", images, labels[0], others, labels[1], ("0", "1"), "", "")
    with full_float32():
        own = measure(vae, data, data, evaluate, seed=0)
    answer = diagnose(
        vae.posterior, vae.likelihood, images=images, held_out=others, labels=labels[0], held_out_labels=labels[1],
        evaluate=evaluate,
    )  # fmt: skip
    found = evidence_of(answer)
    compared = 0
    for group, rows in own.tables.items():
        for row, estimates in rows.items():
            for quantity, estimate in estimates.items():
                again = found(f"{group}/{row}/{quantity}")
                assert again is not None, (group, row, quantity)
                assert again.value == pytest.approx(estimate.value, rel=1e-6, nan_ok=True), (group, row, quantity)
                compared += 1
    assert compared > 200


def test_a_stored_diagnosis_is_a_cell_for_every_verb(tmp_path, capsys):
    for seed, name in enumerate(("early", "late")):
        loc, scale = gaussian_codes(120, 3, mean=0.3 * seed, seed=seed)
        np.savez(tmp_path / f"{name}.npz", loc=loc, scale=scale)
    words = ["diagnose", str(tmp_path / "early.npz"), str(tmp_path / "late.npz"), "--draws", "60"]
    results = tmp_path / "results"
    assert main([*words, "--density", "moment_normal", "--results", str(results), "--name", "checkpoints"]) == 0
    shown = capsys.readouterr()
    assert "Where is it?" in shown.out
    assert "draws under all N components" in shown.err
    for verb in ("summary", "compare", "status", "verdict", "report"):
        assert main([verb, str(results / "checkpoints")]) == 0, verb
        told = capsys.readouterr().out
        if verb == "summary":
            assert "early" in told
            assert "late" in told
        if verb == "compare":  # codes alone have no samples and no log p(x)
            assert told.count("no cells have what this compares") == 3
    assert (results / "checkpoints" / "report.html").is_file()
    page = (results / "checkpoints" / "diagnosis-late.html").read_text("utf-8")
    assert "Is there a mismatch?" in page
    assert "default-src &#39;none&#39;" in page
    assert "http://" not in page
    assert "https://" not in page


def test_a_diagnosis_again_changes_nothing_and_another_of_its_name_is_kept_aside(tmp_path, caplog):
    answers = [of_arrays(*gaussian_codes(120, 3, mean=0.3, seed=seed)) for seed in (0, 0, 1)]
    (key,) = {answer.cell.key for answer in answers}
    store = Store(answers[0].save(tmp_path, command="typed"))
    assert store.verify(key).command == "typed"
    before = (store.folder(key) / RESULT).stat().st_ino
    answers[1].save(tmp_path)
    assert (store.folder(key) / RESULT).stat().st_ino == before
    assert not caplog.records
    answers[2].save(tmp_path)
    assert store.verify(key).images == answers[2].checksum
    assert Store(store.root).verify(key).command == f"diagnose(name={answers[2].name!r})"
    assert f"is kept as {store.folder(key)}.replaced-1" in caplog.text
    assert [name for name in store.known_keys() if name != key] == []


def test_files_of_one_name_are_refused_before_any_is_read(tmp_path, capsys):
    words = ["diagnose", "a/codes.npz", "b/codes.npz", "--results", str(tmp_path)]
    assert main(words) == 2
    assert "codes twice" in capsys.readouterr().err


def test_labels_beside_codes_are_said_to_be_unread():
    loc, scale = gaussian_codes(120, 3)
    said = [from_arrays({"loc": loc, "scale": scale} | more)[2] for more in ({}, {"labels": np.ones(120)})]
    assert said[1] == f"{said[0]}; labels are not read"


def test_codes_in_double_precision_are_diagnosed_as_in_single():
    loc, scale = gaussian_codes(200, 3, mean=0.5)
    single, double = (evidence_of(of_arrays(loc.astype(kind), scale.astype(kind))) for kind in (np.float32, np.float64))
    for name in ("kl", "kl_reverse", "kl_mean"):
        assert double.number(f"aggregate/train/{name}") == single.number(f"aggregate/train/{name}")


def test_what_was_given_cannot_be_run(capsys):
    assert main(["run", "dataset=given", "--dry-run"]) == 2
    assert "dataset=given" in capsys.readouterr().err
    assert main(["run", "digits", "prior=given", "--dry-run"]) == 2
    assert "prior=given" in capsys.readouterr().err


@pytest.fixture
def every_step(monkeypatch):
    """Each step has a line, however short it is."""
    monkeypatch.setattr(sys.modules["study.diagnosis.diagnose"], "SECONDS_BETWEEN", 0.0)


def test_few_lines_say_what_a_short_diagnosis_is_at():
    lines = []
    began = time.perf_counter()
    of_arrays(*gaussian_codes(100, 2), say=lines.append)
    assert 1 <= len(lines) <= 2 + time.perf_counter() - began


@pytest.mark.usefixtures("every_step")
def test_convolutions_keep_fp32_while_measuring():
    seen = {}
    of_arrays(*gaussian_codes(100, 2), say=lambda line: seen.setdefault(line, torch.backends.cudnn.allow_tf32))
    steps = [kept for line, kept in seen.items() if " s  " in line]
    assert steps
    assert not any(steps)
    assert torch.backends.cudnn.allow_tf32, "torch's default, which is put back"


@pytest.mark.usefixtures("every_step")
def test_an_interrupt_keeps_what_was_done():
    done = []

    def say(line):
        done.append(line)
        if len(done) == 8:
            raise KeyboardInterrupt

    loc, scale = gaussian_codes(100, 2)
    answer = of_arrays(loc, scale, say=say)
    assert answer.details["interrupted"]
    assert f"interrupted at the step {answer.details['missing_from']}, which is missing" in str(answer)
    assert "not decided: the diagnosis was interrupted" in str(answer)
    assert "certify none" not in str(answer), "what was not measured says nothing"
    assert "keep the prior" not in str(answer)
    assert evidence_of(answer)("aggregate/train/bubble_bhattacharyya") is not None


def test_an_interrupted_command_stores_what_was_done_and_says_that_it_was_stopped(tmp_path, monkeypatch, capsys):
    loc, scale = gaussian_codes(100, 2)
    for name in ("first", "second"):
        np.savez(tmp_path / f"{name}.npz", loc=loc, scale=scale)
    steps = Measuring.steps

    def cut(self):
        for number, step in enumerate(steps(self)):
            if number == 8:
                signal.raise_signal(signal.SIGINT)
            yield step

    monkeypatch.setattr(Measuring, "steps", cut)
    results = tmp_path / "results"
    words = ["diagnose", *(str(tmp_path / f"{name}.npz") for name in ("first", "second")), "--results", str(results)]
    assert main([*words, "--draws", "40"]) == 130
    shown = capsys.readouterr()
    assert "as is every later one; what was done before is kept" in shown.out
    assert "second" not in shown.out
    assert (results / "first" / "diagnosis-first.html").is_file()


@contextmanager
def diagnosing(folder):
    """A process that diagnoses 4,000 codes, and stores results in ``folder``."""
    loc, scale = gaussian_codes(4_000, 64)
    np.savez(folder / "codes.npz", loc=loc, scale=scale)
    words = [sys.executable, "-m", "study", "diagnose", folder / "codes.npz", "--results", folder / "results"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as process:
        yield process


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Seconds from the first step to the end of a diagnosis that no signal disturbs."""
    with diagnosing(tmp_path_factory.mktemp("undisturbed")) as process:
        next(line for line in process.stderr if " s  " in line)
        begun = time.monotonic()
        process.communicate(timeout=120)
    assert process.returncode == 0
    return time.monotonic() - begun


@pytest.mark.slow
@pytest.mark.parametrize(
    ("signum", "share"),
    [
        (signal.SIGINT, 0.0),
        (signal.SIGTERM, 0.0),
        (signal.SIGHUP, 0.0),
        (signal.SIGINT, 0.3),
        (signal.SIGTERM, 0.6),
        (signal.SIGINT, 0.8),
    ],
)
def test_a_signal_while_it_measures_or_stores_keeps_what_was_measured(tmp_path, undisturbed, signum, share):
    """Wherever it falls: into an import, a finaliser, or the storing.

    ``share``: of the time from its first step to its end. One that by chance ends before is as if undisturbed.
    """
    with diagnosing(tmp_path) as process:
        next(line for line in process.stderr if " s  " in line)
        time.sleep(share * undisturbed)
        process.send_signal(signum)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 128 + signum or (share > 0 and process.returncode == 0), err
    assert "Traceback" not in err
    assert "page: " in out, err
    assert len(Store(tmp_path / "results" / "codes").stored_keys()) == 1
