"""Joining: which studies are read together, and whether their numbers can be compared."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import xarray as xr

from study.answers.joining import ALIKE, APART, OTHER, joined
from study.cli import main
from study.design.study import Study
from study.store.result import CellResult
from study.store.store import Store


def cell(study, dataset="digits", images="a"):
    part = SimpleNamespace(store=SimpleNamespace(root=Path(study)), manifest=SimpleNamespace(images=images))
    return SimpleNamespace(settings={"dataset": dataset}, stored=(part,))


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ((cell("a"), cell("b")), f"a (digits), b (digits): the images of digits are {ALIKE}"),
        ((cell("a"), cell("b", images="b")), f"b (digits): the images of digits are {OTHER}"),
        ((cell("a"), cell("b", "mnist")), f"a (digits), b (mnist): {APART}"),
        (
            (cell("a"), cell("a", "mnist"), cell("b")),
            "a (digits, mnist), b (digits): the images of dig",
        ),
    ],
    ids=["alike", "other images", "apart", "two data sets"],
)
def test_studies_are_named_with_their_data_sets_and_whether_they_can_be_compared(cells, words):
    sentence = joined(cells)
    assert sentence.startswith("2 studies are joined, ")
    assert words in sentence


def test_one_study_is_not_spoken_of():
    assert joined((cell("a"), cell("a", "mnist"))) == ""
    assert joined((cell("here/a"), cell("there/a"))) == "", "one study of two machines"


@pytest.fixture
def two_studies(tmp_path):
    """A results folder with two studies of one cell each, that differ in their prior."""
    table = xr.DataTree.from_dict({"/": xr.Dataset()})
    for study, prior in {"first": "vamp", "second": "standard_normal"}.items():
        (made,) = Study.load("smoke").override(["latent_dim=2", f"prior={prior}"]).cells()
        store = Store(tmp_path / study)
        workspace = store.begin(made, images="a")
        assert workspace is not None
        result = CellResult(table, weights={"0/w": torch.ones(1)}, details={})
        store.publish(made, result, images="a", device="cpu", seconds=0.0, command="")
    return tmp_path


@pytest.mark.parametrize("verb", ["compare", "verdict"])
def test_a_verb_that_joins_the_studies_of_a_folder_says_so_beside_its_table(two_studies, capsys, verb):
    sentence = "2 studies are joined"
    assert main([verb, str(two_studies), "--format", "csv"]) == 0
    out, err = capsys.readouterr()
    assert sentence not in out
    assert err.count(sentence) == 1
    assert main([verb, str(two_studies / "first"), "--format", "csv"]) == 0
    assert sentence not in capsys.readouterr().err
