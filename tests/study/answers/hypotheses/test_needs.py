"""Studies that decide a hypothesis: their cells can be built on the images of every data set."""

import pytest

from study.answers.hypotheses import hypotheses, needed_study
from study.answers.hypotheses._needs import Map, Needs
from study.cli.selection import selected
from study.errors import ConfigurationError
from study.measurement.estimators import families
from study.run.checking import check_all

from .conftest import remembered, study_of

WITH_NEEDS = [each.id for each in hypotheses() if each.needs is not None]


@pytest.mark.parametrize("dataset", ["digits", "mnist_5k"])
@pytest.mark.parametrize("id", WITH_NEEDS)
def test_what_a_verdict_asks_for_can_be_run(id, dataset):
    cells = needed_study(id, dataset).cells()
    assert {cell.dataset.name for cell in cells} == {dataset}
    assert check_all(cells).keys() == {cell.key for cell in cells}


@pytest.mark.parametrize(("dataset", "shape", "flat"), [("digits", "64x2x2", 256), ("mnist", "64x7x7", 3136)])
def test_maps_have_the_places_of_their_images(dataset, shape, flat):
    assert (Map(64).on(dataset), Map(64, flat=True).on(dataset)) == (shape, flat)


def test_a_map_on_images_that_are_not_known_is_that_of_digits():
    assert Map(3).on("folder") == Map(3).on("an added data set") == "3x2x2"


def test_the_data_set_that_is_assigned_sizes_the_cells_and_several_are_refused():
    def latents(*assignments):
        return {cell.config()["latent_dim"] for cell in selected(assignments, "H9", yes=True)[1]}

    assert latents("dataset=mnist") == latents("dataset={name: mnist}") != latents()
    for words in (("dataset=mnist,digits",), ("dataset=mnist", "dataset=digits")):
        with pytest.raises(ConfigurationError, match=r"--for takes one data set at a time; got mnist, digits"):
            selected(words, "H7", yes=True)


def plain(*words):
    return remembered(
        study_of(f"latent-study run smoke {' '.join(words)}"), lambda *_: ({"aggregate/train/kl": 1.0}, {})
    )


def test_what_is_off_in_every_cell_is_named_by_its_setting():
    needs = Needs("padded maps", {}, {"evaluate.padding": (64,), "evaluate.refinement": 5, "network": "spatial"})
    assert needs.switched_off(plain()) == ["evaluate.padding is []", "evaluate.refinement is 0"]
    assert needs.switched_off(plain("evaluate.refinement=0,3")) == ["evaluate.padding is []"]
    assert Needs("any", {}).switched_off(plain("evaluate.samples=0")) == ["evaluate.samples is 0"]


def test_what_every_cell_leaves_out_is_named_and_of_several_what_matters():
    left_out = plain('"evaluate.omit=[growth,spectrum]"')
    assert Needs("any", {}, estimators=("growth",)).switched_off(left_out) == ["evaluate.omit names growth"]
    assert Needs("any", {}).switched_off(left_out) == ["evaluate.omit names growth, spectrum"]
    assert Needs("any", {}).switched_off(plain('"evaluate.omit=[growth],[]"')) == []


def test_estimators_that_are_needed_are_files_of_estimators():
    named = {name for each in hypotheses() if each.needs for name in each.needs.estimators}
    assert {"growth", "spectrum"} <= named <= families()
