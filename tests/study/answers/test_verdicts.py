"""The table of verdicts, and the verb that prints it."""

import io
import json

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from rich.console import Console

from study.answers.hypotheses import hypotheses
from study.answers.results import Results
from study.answers.verdicts import COLUMNS, terminal_table, verdicts
from study.cli import main
from study.design.cell import Cell
from study.store.store import Store


@pytest.fixture
def folder(tmp_path):
    """A study of one cell that has nothing but a rate."""
    store, cell = Store(tmp_path / "results" / "one"), Cell.from_config({"latent_dim": 2})
    dims = ("chain", "split", "quantity")
    fields = {"value": 3.0, "standard_error": 0.1, "n": 100, "bound": "unbiased", "flags": ""}
    coords = {"chain": [0, 1], "split": ["train"], "quantity": ["rate"]}
    aggregate = xr.Dataset({name: (dims, np.full((2, 1, 1), value)) for name, value in fields.items()}, coords)
    result = type("Result", (), {
        "tree": xr.DataTree.from_dict({"aggregate": aggregate}), "weights": {"0/w": torch.ones(1)}, "details": {},
    })  # fmt: skip
    with store.lock(cell.key, wait=False):
        store.begin(cell, images="")
        store.publish(cell, result, images="", device="cpu", seconds=0.0, command="")
    return tmp_path / "results"


def test_every_hypothesis_has_its_line(folder):
    table = verdicts(Results.load([folder / "one"]))
    assert list(table.columns) == list(COLUMNS)
    assert list(table["hypothesis"]) == [hypothesis.id for hypothesis in hypotheses()]
    assert set(table["dataset"]) == {"digits"}
    assert dict(zip(table["hypothesis"], table["decision"], strict=True))["H4"] == "supported"
    undecided = table[table["hypothesis"] != "H4"]
    assert set(undecided["decision"]) == {"undecided"}
    assert undecided["value"].isna().all()


def test_no_cells_have_no_verdicts():
    assert verdicts(Results(())).empty


def test_the_printed_table_fits_its_width_and_loses_nothing(folder):
    table = verdicts(Results.load([folder / "one"]))
    text = io.StringIO()
    Console(file=text, width=160).print(terminal_table(table))
    assert max(map(len, text.getvalue().splitlines())) <= 160
    assert "…" not in text.getvalue()
    for name in table["hypothesis"]:
        assert f" {name} " in text.getvalue()


def test_the_printed_table_fits_a_hundred_columns(folder):
    table = verdicts(Results.load([folder / "one"]))
    text = io.StringIO()
    Console(file=text, width=100).print(terminal_table(table))
    lines = text.getvalue().splitlines()
    assert max(map(len, lines)) <= 100
    assert "…" not in text.getvalue()
    assert {" H7 * ", " H4 "} <= {mark for mark in (" H7 * ", " H4 ") if mark in text.getvalue()}
    assert "(check)" in text.getvalue()


def test_the_verb_writes_every_format(folder, capsys):
    assert main(["verdict", str(folder), "--format", "csv"]) == 0
    table = pd.read_csv(io.StringIO(capsys.readouterr().out))
    assert list(table.columns) == list(COLUMNS)
    assert main(["verdict", str(folder / "one"), "--format", "json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == len(table)
    assert main(["verdict", str(folder)]) == 0
    assert "undecided" in capsys.readouterr().out


def test_without_cells_the_verb_says_so(tmp_path, capsys):
    (tmp_path / "empty" / "cells").mkdir(parents=True)
    assert main(["verdict", str(tmp_path)]) == 2
    assert "no finished cell" in capsys.readouterr().err
