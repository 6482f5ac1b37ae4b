"""Several classifiers and a second feature space in a measurement."""

import pytest
import torch

from study.design.cell import Cell, Evaluate
from study.measurement import classifier
from study.measurement.classifier import Classifier
from study.measurement.images import ImageData
from study.measurement.measure import measure
from study.run.building import new_vae

EVALUATE = {
    "draws": 50, "components": (1,), "covariances": ("diagonal",), "densities": (), "importance": (), "samples": 200,
    "two_sample_draws": 0, "pictures": 1,
    "omit": ("bubbles", "gain", "growth", "neighbours", "spectrum", "flips", "shells", "refinement"),
}  # fmt: skip


@pytest.fixture
def data(tmp_path, monkeypatch) -> ImageData:
    """Noise whose brightness tells the classes apart, with classifiers of three epochs."""
    monkeypatch.setenv("LATENT_STUDY_CACHE", str(tmp_path))
    monkeypatch.setattr(classifier, "MIN_IMAGES_SEEN", 0)
    labels = torch.arange(700) % 2
    images = (
        torch.rand(700, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * (1 + labels[:, None, None, None]) / 2
    )
    return ImageData("noise", images[:300], labels[:300], images[300:], labels[300:], ("dark", "bright"), "", "")


def distances(data: ImageData, **settings: object) -> dict:
    torch.manual_seed(0)
    cell = Cell.from_config({"latent_dim": 3, "network": {"name": "mlp", "hidden": [16]}, "likelihood": "gaussian"})
    vae = new_vae(cell, (1, 8, 8)).eval()
    return measure(vae, data, data, Evaluate(**(EVALUATE | settings)), seed=0).tables["realism"]["prior"]


def test_classifiers_of_other_seeds_differ_and_are_kept(data):
    first, again, other = Classifier.of(data), Classifier.of(data), Classifier.of(data, 1)
    features = [each.features(data.held_out_images) for each in (first, again, other)]
    assert torch.equal(features[0], features[1])
    assert not torch.allclose(features[0], features[2])


@pytest.mark.slow
def test_classifiers_enter_value_and_error_of_distances_and_nothing_else(data):
    one, three = distances(data), distances(data, classifiers=3)
    single = [distances_of(data, seed) for seed in range(3)]
    for name in ("squared_frechet", "squared_kernel_distance"):
        values = torch.tensor([each[name].value for each in single], dtype=torch.float64)
        within = torch.tensor([each[name].standard_error for each in single], dtype=torch.float64).square().mean()
        assert one[name].value == values[0]
        assert three[name].value == pytest.approx(float(values.mean()), rel=1e-9)
        assert three[name].standard_error == pytest.approx(float((within + values.var() / 3).sqrt()), rel=1e-9)
    for name in ("confidence", "novelty_ratio", "precision"):
        assert one[name] == three[name]


def distances_of(data: ImageData, seed: int) -> dict:
    """With the classifier of this seed in the place of the first."""
    of = Classifier.of
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Classifier, "of", staticmethod(lambda images, _=0: of(images, seed)))
        return distances(data)


def test_a_second_space_has_rows_of_its_own_and_changes_no_other(data):
    plain, both = distances(data), distances(data, features=("untrained",))
    names = {"squared_frechet_untrained", "squared_kernel_distance_untrained"}
    assert both.keys() - plain.keys() == names
    for name in names:
        assert both[name].value > 4 * both[name].standard_error > 0
    assert {name: both[name] for name in plain} == plain


def test_at_their_defaults_cells_keep_their_keys():
    cell = Cell.from_config({"latent_dim": 8})
    config = cell.config()
    assert config["evaluate"]["classifiers"] == 1
    assert config["evaluate"]["features"] == []
    for change in ({"classifiers": 3}, {"features": ["untrained"]}):
        assert Cell.from_config({"latent_dim": 8, "evaluate": change}).key != cell.key
    # The key of the first look's export, stored before these settings were there.
    before = {name: value for name, value in config["evaluate"].items() if name not in ("classifiers", "features")}
    assert Cell.from_config(config | {"evaluate": before}).key == cell.key
