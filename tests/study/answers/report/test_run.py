"""The run that ends with the page, and that a page which cannot be drawn does not lose."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import study.cli.answer
import study.run.launch
from study.answers.terminal import LINES
from study.cli import main

PAGE = Path("results/smoke/report.html")


@pytest.fixture
def run(tmp_path, monkeypatch, content):
    """Runs two cells in an empty folder with a stand-in for the experiment."""

    def run_cell(cell, workspace, **_):
        return SimpleNamespace(tree=content(cell), weights={"w": np.ones(2, np.float32)}, details={"engine": "none"})

    monkeypatch.setattr(study.run.launch, "run_cell", run_cell)
    monkeypatch.chdir(tmp_path)
    return lambda *words: main(["run", "smoke", "prior=standard_normal", "seeds=3", "--workers", "1", *words])


def test_it_writes_the_page_and_prints_its_path_and_the_answer(run, capsys):
    assert run() == 0
    out = capsys.readouterr().out
    assert f"page: {PAGE}" in out
    lines = out.splitlines()
    assert all(sum(line.startswith(f"{title}: ") for line in lines) == 1 for title in LINES)
    assert max(map(len, lines)) <= 100
    assert any(line.startswith("prior") and "F aggregate" in line for line in lines)
    assert PAGE.read_text("utf-8").startswith("<!doctype html>")


def test_it_can_do_without(run, capsys):
    assert run("--no-report") == 0
    assert "page:" not in capsys.readouterr().out
    assert not PAGE.exists()


def test_what_cannot_be_drawn_is_said_and_the_results_stay(run, capsys, monkeypatch):
    def fail(*_):
        raise RuntimeError("no ink")

    monkeypatch.setattr(study.cli.answer, "write_page", fail)
    assert run() == 0
    assert "no page: RuntimeError: no ink; `latent-study report results/smoke` tries again" in capsys.readouterr().err
    assert len(list(Path("results/smoke/cells").glob("*/manifest.json"))) == 2
