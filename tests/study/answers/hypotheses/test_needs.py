"""Studies that decide a hypothesis: their cells can be built on the images of every data set."""

import pytest

from study.answers.hypotheses import hypotheses, needed_study
from study.answers.hypotheses._needs import Map
from study.cli.selection import selected
from study.errors import ConfigurationError
from study.run.checking import check_all

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
