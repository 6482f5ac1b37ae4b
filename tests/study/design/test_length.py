"""Length of training: updates and epochs are one setting in two units, and keys of cells in epochs are as they were."""

import pytest

from study.answers.settings import settings
from study.design.cell import Cell
from study.design.cost import LATENT_SECONDS, UPDATE_SECONDS, Cost, Operations
from study.design.labels import titles
from study.design.length import num_updates, per_epoch, planned_updates
from study.design.study import Study
from study.errors import ConfigurationError


def cell(**train):
    return Cell.from_config({"train": train})


def test_cells_in_epochs_keep_their_keys():
    """Of the version before there were updates."""
    small_map = {"latent_dim": "64x8x8", "network": {"name": "spatial", "channels": [8, 16], "stem": 16}}
    assert Cell().key == "1185242b42f8"
    assert Cell.from_config(small_map | {"train": {"epochs": 5}}).key == "28c8bca1e5c1"


def test_updates_stand_in_the_place_of_epochs():
    assert (cell(updates=7).train.updates, cell(updates=7).train.epochs) == (7, None)
    assert cell(updates=7).key not in {cell().key, cell(updates=8).key}
    assert Cell.from_config(cell(updates=7).config()) == cell(updates=7)


@pytest.mark.parametrize("train", [{"updates": 7, "epochs": 100}, {"updates": "none", "epochs": "none"}])
def test_a_training_has_one_length(train):
    with pytest.raises(ConfigurationError, match=r"length; give train\."):
        cell(**train)


@pytest.mark.parametrize(
    ("images", "batch", "expected"), [(12_000, 128, 93), (100, 128, 1), (128, 128, 1), (129, 128, 1), (256, 128, 2)]
)
def test_the_incomplete_batch_of_an_epoch_is_left_out(images, batch, expected):
    assert per_epoch(batch, images) == expected
    assert num_updates({"epochs": 5, "batch_size": batch}, images) == 5 * expected
    assert num_updates({"epochs": None, "updates": 11, "batch_size": batch}, images) == 11


def test_updates_are_known_where_the_number_of_images_is():
    digits = cell(epochs=80).config()
    assert planned_updates(digits) == 880
    assert planned_updates(digits | {"limit": 180}) == 80
    assert planned_updates(digits, num_images=256) == 160
    folder = Cell.from_config({"dataset": "folder", "limit": 100, "train": {"epochs": 80}}).config()
    assert planned_updates(folder) is None
    assert planned_updates(folder, num_images=300) == 160
    assert planned_updates(cell(updates=7).config() | {"dataset": {"name": "folder"}}) == 7
    stored = {**digits, "train": {name: value for name, value in digits["train"].items() if name != "updates"}}
    assert settings(stored)["updates"] == 880, "a cell of the version before there were updates"


def test_titles_tell_the_length_in_updates_whatever_it_was_set_in():
    named = titles({one.key: one.config() for one in (cell(epochs=80), cell(epochs=20), cell(updates=500))})
    assert set(named.values()) == {f"standard_normal, updates={number}, D=32" for number in (880, 220, 500)}
    named = titles({one.key: one.config() for one in (cell(epochs=20), cell(updates=220))})
    assert len(set(named.values())) == 2, "of one length, told apart by the unit it was set in"


def test_a_study_asked_for_in_another_unit_loses_the_one_it_had():
    study = Study.load("digits")
    assert {one.train.updates for one in study.override(["train.updates=9"]).cells()} == {9}
    assert {one.train.epochs for one in study.override(["train.updates=9"]).override(["train.epochs=2"]).cells()} == {2}
    document = {"settings": {"train.epochs": 3}, "factors": {}, "arms": {"a": {"factors": {"train.updates": [5, 6]}}}}
    assert [one.train.updates for one in Study.from_document("s", document, "s.yaml").cells()] == [5, 6]


def test_both_units_at_once_are_refused():
    with pytest.raises(ConfigurationError, match="one length in two units"):
        Study.load("digits").override(["train.updates=9", "train.epochs=2"])
    with pytest.raises(ConfigurationError, match=r"s\.yaml: .* one length in two units"):
        Study.from_document("s", {"settings": {"train.epochs": 3}, "factors": {"train.updates": [5, 6]}}, "s.yaml")


def test_cost_counts_the_images_that_updates_read():
    def seconds(operations, updates, batch):
        one = cell(updates=updates, batch_size=batch)
        one = one.model_copy(update={"evaluate": one.evaluate.model_copy(update={"importance": (), "samples": 0})})
        return Cost.of(one, 0, 1_000, operations=Operations(0, 0, prior=operations)).seconds

    lengths = ((10, 100), (20, 100), (10, 200), (10, 5_000))
    costs = [seconds(10**6, *length) - seconds(0, *length) for length in lengths]
    assert costs == pytest.approx([costs[0], 2 * costs[0], 2 * costs[0], 10 * costs[0]])
    each = UPDATE_SECONDS + 100 * cell().latent_dim * LATENT_SECONDS
    assert seconds(0, 1_000, 100) - seconds(0, 10, 100) == pytest.approx(990 * each * cell().seeds)


@pytest.mark.parametrize("lacks", [["batch_size"], ["epochs"], ["epochs", "batch_size", "updates"]])
def test_a_stored_training_that_says_less_plans_no_number(lacks):
    train = {"epochs": 20, "updates": None, "batch_size": 32}
    said = {name: value for name, value in train.items() if name not in lacks}
    assert planned_updates({"dataset": {"name": "digits"}, "train": said}) is None
    assert planned_updates({"dataset": {"name": "digits"}, "train": said | {"updates": 7}}) == 7
