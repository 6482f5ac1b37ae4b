"""An extension is one file: added to a copy of the project, it is found, and its family's laws hold of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

STRIPES = '''"""Stripes: images of one frequency each."""

from __future__ import annotations

from pathlib import Path
from typing import final

import torch

from study.images import ImageData, checksum, digest, held_out_split, resized
from study.run.data.datasets._base import Dataset


@final
class Stripes(Dataset):
    """Forty images of stripes, 9×9, two classes."""

    reference = "a test"
    image_shape = (1, 9, 9)
    bundled = True

    def read(self, root: Path, *, image_size: int | None, download: bool) -> ImageData:
        """Drawn from their formula."""
        waves = torch.sin(torch.outer(torch.arange(1.0, 41.0), torch.arange(9.0))) / 2 + 0.5
        images = resized(waves[:, None, None].expand(-1, 1, 9, 9), image_size)
        labels = torch.arange(40) % 2
        training, held_out = held_out_split(labels)
        return ImageData(
            name=self.name,
            images=images[training],
            labels=labels[training],
            held_out_images=images[held_out],
            held_out_labels=labels[held_out],
            class_names=("even", "odd"),
            checksum=checksum({"waves": digest(waves.numpy().tobytes())}),
            verification="drawn",
        )
'''


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The packages and their tests in a folder that may be changed."""
    for name in ("analysis", "models", "study", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def laws(copy: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Pytest in the copy, which finds the copy's packages and no others."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words]
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, timeout=500, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "sound"),
    [
        (STRIPES, True),
        (STRIPES.replace("image_shape = (1, 9, 9)", "image_shape = (1, 8, 8)"), False),
        (STRIPES.replace("torch.arange(1.0, 41.0)", "torch.rand(40)"), False),
    ],
    ids=["sound", "of another shape than it promises", "other images each time"],
)
def test_a_data_set_is_one_file(copy, source, sound):
    (copy / "study/run/data/datasets/stripes.py").write_text(source)
    done = laws(copy, "tests/study/run/data/test_laws.py", "-k", "stripes")
    assert done.returncode == (0 if sound else 1), done.stdout[-2_000:] + done.stderr[-2_000:]
    assert " passed" in done.stdout
    assert ("failed" in done.stdout) != sound


JEFFREYS = '''"""Jeffreys divergence: the sum of both directions."""

from __future__ import annotations

from analysis import divergence
from analysis.estimate import Estimate
from study.measurement.estimators import Quantity, estimator
from study.measurement.replicate import Split


@estimator(Quantity("jeffreys", "KL(q_N ‖ p) + KL(p ‖ q_N) = E t − E_p t"))
def jeffreys(split: Split) -> Estimate:
    """In nats; the normaliser of p cancels."""
    return Estimate.mean(split.draws.log_ratio - split.from_prior.log_ratio)
'''


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "sound"),
    [
        (JEFFREYS, True),
        (JEFFREYS.replace('E_p t")', 'E_p t", "upper")'), False),
        (JEFFREYS.replace('E_p t")', 'E_p t", of_prior=True)').replace("Estimate.mean(", "0 * Estimate("), False),
    ],
    ids=["sound", "with a bound that it does not have", "that fails"],
)
def test_an_estimator_is_one_file(copy, code, sound):
    """It is found by its file's name, obeys the laws of estimators, and has its row on the page of methods."""
    (copy / "study/measurement/estimators/jeffreys.py").write_text(code)
    done = laws(copy, "tests/study/measurement/test_estimators.py", "-k", "jeffreys")
    assert done.returncode == (0 if sound else 1), done.stdout[-2_000:] + done.stderr[-2_000:]
    assert " passed" in done.stdout
    if sound:
        page = ["tests/study/measurement/test_methods.py", "-k", "page_is_that"]
        assert laws(copy, *page).returncode == 1
        environment = {**os.environ, "PYTHONPATH": str(copy)}
        command = [sys.executable, "-m", "study.measurement.methods"]
        subprocess.run(command, cwd=copy, env=environment, timeout=200, check=True)
        assert "| `jeffreys` | KL(q_N ‖ p) + KL(p ‖ q_N)" in (copy / "analysis/METHODS.md").read_text("utf-8")
        assert laws(copy, *page).returncode == 0


ORIGIN = '''"""The origin, seen by as many eyes as there are images: the centre of the prior."""

from __future__ import annotations

import torch
from torch import Tensor

from study.measurement.encoding import decode
from study.measurement.sources import Start, source


@source("origin", "z = 0", place=110)
def origin(start: Start) -> Tensor:
    """One image, repeated."""
    return decode(start.vae, torch.zeros_like(start.train))
'''


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "sound"),
    [(ORIGIN, True), (ORIGIN.replace("torch.zeros_like(start.train)", "torch.randn_like(start.train)"), False)],
    ids=["sound", "with randomness of its own"],
)
def test_a_source_of_samples_is_one_file(copy, code, sound):
    (copy / "study/measurement/sources/origin.py").write_text(code)
    done = laws(copy, "tests/study/measurement/test_sources.py", "-k", "origin or says_what or its_own_images")
    assert done.returncode == (0 if sound else 1), done.stdout[-2_000:] + done.stderr[-2_000:]
    assert " passed" in done.stdout


CLAIM = '''r"""H20: every dimension is used.

Rule, before any run: the effect is the mean of active units over D. Supported if it is above 0.9, refuted if below.
"""

from __future__ import annotations

from typing import final, override

import pandas as pd
from matplotlib.figure import Figure

from study.answers.hypotheses import _marks as marks
from study.answers.hypotheses._base import Hypothesis, Verdict
from study.answers.hypotheses._criterion import Criterion, conclude
from study.answers.hypotheses._families import alike, by_family, scope
from study.answers.hypotheses._intervals import by_replicate, mean_of
from study.answers.hypotheses._needs import Needs
from study.answers.results import Results


@final
class Use(Hypothesis[pd.DataFrame]):
    """Active units over the latent dimension."""

    id = "H20"
    claim = "Every latent dimension is used."
    caption = (
        "Active units over the latent dimension D, against D, of every cell with the standard prior, from 0 to 1; "
        "means over seeds with 95 % intervals (Student-t), seeds as dots. At 1 every dimension is used."
    )
    needs = Needs("Cells with the standard prior", {"latent_dim": (2, 8)})

    @override
    def evidence(self, results: Results) -> pd.DataFrame:
        lines = alike(results.plain(), active="aggregate/train/active_units")
        return lines.assign(share=lines["active"] / lines["latent_dim"])

    @override
    def decide(self, evidence: pd.DataFrame) -> Verdict:
        shares = by_replicate(evidence, mean_of("share"))
        return conclude([Criterion.of_mean("share of active units", shares, least=0.9)], scope(evidence))

    @override
    def draw(self, evidence: pd.DataFrame) -> Figure:
        figure, (axes,) = marks.panels(1)
        for label, cell in by_family(evidence):
            marks.means(axes, cell, "latent_dim", "share", label)
        marks.axis_labels(axes, "latent dimension D", "active units over D")
        return figure
'''

WORLD = '''"""World of H20."""

from ._estimates import aggregate


def truth(cell, holds):
    return aggregate(active_units=cell.latent_dim * (1.0 if holds else 0.5)), {}
'''


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "world", "sound"),
    [
        (CLAIM, WORLD, True),
        (CLAIM.replace("active_units", "idle_units"), WORLD, False),
        (CLAIM.replace("least=0.9", "most=0.9"), WORLD, False),
        (CLAIM, "", False),
    ],
    ids=["sound", "not decided by the cells it needs", "of another rule than its world", "without a world"],
)
def test_a_hypothesis_is_one_file_beside_its_world(copy, source, world, sound):
    (copy / "study/answers/hypotheses/h20_use.py").write_text(source)
    if world:
        (copy / "tests/study/answers/hypotheses/worlds/h20_use.py").write_text(world)
    done = laws(copy, "tests/study/answers/hypotheses", "-k", "h20_use or has_its_worlds")
    assert done.returncode == (0 if sound else 1), done.stdout[-2_000:] + done.stderr[-2_000:]
    assert " passed" in done.stdout
    assert ("failed" in done.stdout) != sound
