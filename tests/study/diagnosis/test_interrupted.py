"""An interrupted diagnosis: what it leaves, what `status` says of it, and how the same command completes it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from study.cli import main
from study.diagnosis import diagnose_codes
from study.diagnosis.codes import from_arrays
from study.measurement.measure import Measuring

AFTER = "held_out: rate"
"""The step after which the signal comes."""

ROOT = Path(__file__).parents[3]


@pytest.fixture
def command(tmp_path):
    """Words of the command, and the folder of its sampler, within one that is absent."""
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "codes.npz", loc=rng.normal(size=(100, 2)), scale=np.full((100, 2), 0.5))
    sampler = tmp_path / "made" / "sampler"
    words = ["diagnose", str(tmp_path / "codes.npz"), "--results", str(tmp_path / "results"), "--sampler", str(sampler)]
    return [*words, "--draws", "40", "--density", "moment_normal"], sampler


def watched(monkeypatch, signum=None):
    """Names of the steps, as they are done; after one of them comes the signal."""
    done, steps = [], Measuring.steps

    def watch(self):
        for step in steps(self):
            done.append(step)
            yield step
            if signum is not None and step == AFTER:
                signal.raise_signal(signum)

    monkeypatch.setattr(Measuring, "steps", watch)
    return done


def status(folder, capsys):
    capsys.readouterr()
    assert main(["status", str(folder)]) == 0
    return capsys.readouterr().out


def test_it_is_not_done_until_it_is_measured_anew(tmp_path, command, monkeypatch, capsys):
    words, sampler = command
    with monkeypatch.context() as patch:
        kept = watched(patch, signal.SIGINT)
        assert main(words) == 130
    assert kept[-1] == AFTER
    assert not sampler.parent.exists(), "no empty folder stays"
    told = [status(tmp_path / "results", capsys) for _ in range(2)]  # the second has what the first may have indexed
    page = (tmp_path / "results" / "codes" / "diagnosis-codes.html").read_text("utf-8")
    done = watched(monkeypatch)
    assert main(words) == 0
    missing = done[len(kept)]
    for lines in told:
        assert ": 1 interrupted" in lines
        assert f"missing: {missing} and every later step" in lines
        assert f"the same command measures it anew: latent-study {' '.join(words)}" in lines
    assert f"interrupted at the step {missing}, which is missing, as is every later one" in page
    assert {path.name for path in sampler.iterdir()} == {"sampler.json", "sampler.py", "sampler.safetensors"}
    assert ": 1 done" in status(tmp_path / "results", capsys)


def test_before_anything_is_measured_nothing_is_kept():
    def heartbeat():
        raise KeyboardInterrupt

    said = []
    loc = np.random.default_rng(0).normal(size=(100, 2))
    codes, held_out, where = from_arrays({"loc": loc, "scale": np.ones((100, 2))})
    with pytest.raises(KeyboardInterrupt):
        diagnose_codes(codes, held_out, said=where, say=said.append, heartbeat=heartbeat)
    assert said[-1].startswith("interrupted at the step train: ")


def test_the_first_line_does_not_wait_for_what_is_imported(tmp_path):
    code = "import sys; sys.modules['torch'] = None; from study.cli import main; main(['diagnose', 'codes.npz'])"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stderr.startswith("diagnosing codes.npz; ")
    assert "torch" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "results").exists()
