"""The methods page names every estimate that a cell has, and nothing that no cell has."""

import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from analysis.tree import ROWS
from study.design.study import Study
from study.run.experiment import run_cell

METHODS = Path(__file__).parents[3] / "analysis" / "METHODS.md"


def named():
    """First cells of the tables' rows that are code, options in angle brackets as wildcards."""
    rows = re.findall(r"^\| `([^`]+)` \|", METHODS.read_text("utf-8"), re.MULTILINE)
    return [re.sub(r"<\w+>", "*", row) for row in rows]


def test_rows_are_unique_and_have_four_columns():
    assert len(named()) == len(set(named()))
    lines = [line for line in METHODS.read_text("utf-8").splitlines() if line.startswith("| `")]
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 5 for line in lines)


@pytest.mark.slow
def test_every_estimate_of_a_cell_has_its_row_and_every_row_an_estimate(tmp_path):
    cell = Study.load("smoke").override(["prior=standard_normal", "latent_dim=2", "seeds=1"]).cells()[0]
    tree = run_cell(cell, tmp_path, device="cpu", data_root=None, report=lambda progress: None).tree
    found = {str(name) for group in ROWS if group in tree.children for name in tree[group]["quantity"].values}
    rows = named()
    assert {name for name in found if not any(fnmatchcase(name, row) for row in rows)} == set()
    assert {row for row in rows if not any(fnmatchcase(name, row) for name in found)} == set()
