"""Families that claims rest on: which are found, how they are labelled, what is said where they are missing."""

import pytest

from study.answers.hypotheses._base import MissingCells, NotMeasured
from study.answers.hypotheses._families import (
    alike,
    at_two_lengths,
    best_density,
    by_family,
    families,
    largest_dim,
    longest,
    scope,
    shortest,
)
from study.answers.results import Results, StoredCell
from study.store.manifest import Manifest

from .conftest import Memory, remembered, study_of

KL = "aggregate/train/kl"
BASE = "latent-study run smoke seeds=2 "


def labels(lines):
    return {label for label, _ in by_family(lines)}


def kl(cell, replicate):
    return {KL: cell.latent_dim + cell.train.epochs / 1000}, {}


@pytest.fixture
def swept():
    return remembered(study_of(BASE + "prior=standard_normal,vamp latent_dim=2,4 train.epochs=10,40 beta=1,4"), kl)


def test_plain_cells_have_the_defaults_but_for_what_is_free(swept):
    assert {cell.settings["prior"] for cell in swept.plain()} == {"standard_normal"}
    assert {cell.settings["beta"] for cell in swept.plain()} == {1.0}
    assert {cell.settings["beta"] for cell in swept.plain("beta")} == {1.0, 4.0}


def test_families_are_labelled_by_what_tells_them_apart(swept):
    assert labels(families(swept.where(beta=1.0), "latent_dim", "updates", kl=KL)) == {"standard_normal", "vamp"}
    assert labels(families(swept.where(prior="vamp"), "latent_dim", "beta", kl=KL)) == {
        "updates=30",
        "updates=120",
    }
    cells = labels(alike(swept, kl=KL))
    assert len(cells) == 16
    assert "vamp, D=4, beta=1.0, updates=120" in cells


def test_families_that_only_an_option_which_one_lacks_tells_apart_are_numbered():
    (cell,) = remembered(study_of(BASE + "prior=vamp latent_dim=2"), kl)
    config = cell.manifest.config | {"prior": {"name": "vamp"}}
    older = StoredCell(
        "planted",
        Memory({}),
        Manifest.model_construct(key="older", config=config, details={}),
        cell.contents,
    )
    assert labels(alike(Results((cell, older)), kl=KL)) == {"vamp", "vamp (2)"}


def test_maps_and_vectors_have_labels_of_their_own():
    spatial = "network=spatial network.channels=[4] prior=standard_normal latent_dim=16,32,1x4x4,2x4x4"
    results = remembered(study_of(BASE + spatial), kl)
    assert labels(families(results, "latent_dim", kl=KL)) == {"vector", "4×4"}


def test_lengths_are_the_ends_of_each_family(swept):
    lines = at_two_lengths(swept.plain(), kl=KL)
    assert labels(lines) == {"standard_normal"}
    assert set(longest(lines)["updates"]) == {120}
    assert set(shortest(lines)["updates"]) == {30}
    assert len(lines) == 2 * len(longest(lines)) == 8
    assert set(largest_dim(lines)["latent_dim"]) == {4}


def test_one_training_length_is_called_by_its_name():
    results = remembered(study_of(BASE + "prior=standard_normal latent_dim=2,4"), kl)
    with pytest.raises(MissingCells, match="one training length only"):
        at_two_lengths(results, kl=KL)


def test_lengths_that_share_no_sweep_are_refused():
    short = remembered(study_of(BASE + "prior=standard_normal latent_dim=2,4 train.epochs=10"), kl)
    long = remembered(study_of(BASE + "prior=standard_normal latent_dim=4 train.epochs=40"), kl)
    with pytest.raises(MissingCells, match="varied at two training lengths"):
        at_two_lengths(Results(short.cells + long.cells), kl=KL)


def test_what_is_missing_is_named_in_words(swept):
    absent = {"kl": KL, "absent": "aggregate/held_out/absent", "distance": "realism/prior/squared_frechet"}
    words = r"have `absent` of the held-out images, and `squared_frechet` of samples from `prior`$"
    with pytest.raises(MissingCells, match=r"^no cells that differ in likelihood alone$"):
        families(swept, "likelihood", kl=KL)
    with pytest.raises(NotMeasured, match=f"^no cells that differ in beta alone {words}"):
        families(swept, "beta", **absent)
    with pytest.raises(NotMeasured, match=f"^no cells {words}"):
        alike(swept, **absent)


def test_estimates_that_no_cell_has_together_are_all_named():
    def one_or_the_other(cell, _):
        return {f"aggregate/train/{'kl' if cell.latent_dim == 2 else 'rate'}": 1.0}, {}

    results = remembered(study_of(BASE + "prior=standard_normal latent_dim=2,4"), one_or_the_other)
    with pytest.raises(NotMeasured, match=r"^no cells have `kl` and `rate` of the training images$"):
        alike(results, kl=KL, rate="aggregate/train/rate")


def test_the_scope_says_what_a_verdict_rests_on(swept):
    assert scope(alike(swept, kl=KL)) == "digits; D = 2, 4; 30, 120 updates"


def test_a_ceiling_with_an_option_is_the_ceiling():
    names = {"moment_normal": 1.0, "aggregate_kernel[bandwidths=[1.5, 2.0]]": 9.0}

    def fitted(cell, replicate):
        scores = {f"densities/{name}/certified_gap": nats for name, nats in names.items()}
        return scores | {f"realism/{name}/squared_frechet": 1.0 for name in names}, {}

    lines = best_density(remembered(study_of(BASE + "prior=standard_normal latent_dim=2"), fitted))
    assert set(lines["density"]) == {"moment_normal"}


def test_the_best_density_is_that_of_most_nats_and_never_the_ceiling():
    gaps = {"gaussian_mixture": 1.0, "moment_normal": 2.0, "aggregate_kernel": 9.0, "flow": 8.0}

    def fitted(cell, replicate):
        scores = {f"densities/{name}/certified_gap": gap for name, gap in gaps.items()}
        judged = {f"realism/{name}/squared_frechet": 10.0 for name in gaps if name != "flow"}
        return scores | judged, {}

    lines = best_density(remembered(study_of(BASE + "prior=standard_normal latent_dim=2"), fitted))
    assert len(labels(lines)) == 1
    assert set(lines["density"]) == {"moment_normal"}
    with pytest.raises(MissingCells, match="densities fitted"):
        best_density(remembered(study_of(BASE + "prior=standard_normal latent_dim=2"), kl))
