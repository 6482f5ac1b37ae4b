"""The classifier on the bundled digits: what it reaches, and what its cache trusts."""

import json
from dataclasses import replace

import pytest
import torch

from analysis.realism.frechet import FeatureMoments, squared_frechet
from study.measurement import classifier
from study.measurement.classifier import Classifier, Unclassifiable
from study.measurement.images import ImageData
from study.run.data.loading import load


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LATENT_STUDY_CACHE", str(tmp_path))
    return tmp_path / "classifiers"


@pytest.fixture
def brief(monkeypatch):
    """Trainings of three epochs, for what does not rest on accuracy."""
    monkeypatch.setattr(classifier, "MIN_IMAGES_SEEN", 0)


def random_data(image_shape: tuple[int, int, int] = (1, 8, 8), num_classes: int = 3) -> ImageData:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(60, *image_shape, generator=generator)
    labels = torch.arange(60) % num_classes
    names = tuple(map(str, range(num_classes)))
    return ImageData("random", images[:40], labels[:40], images[40:], labels[40:], names, "checksum", "none")


def test_digits_are_classified(cache):
    data = load("digits")
    state = torch.random.get_rng_state()
    found = Classifier.of(data)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert found.accuracy.value > 0.95
    assert found.accuracy.n == 360
    probabilities = found.probabilities(data.held_out_images)
    assert probabilities.shape == (360, 10)
    assert torch.allclose(probabilities.sum(1), torch.ones(360, dtype=torch.float64), rtol=0, atol=1e-12)
    correct = (probabilities.argmax(1) == data.held_out_labels).double().mean()
    assert float(correct) == pytest.approx(found.accuracy.value, abs=1e-12)
    features = found.features(data.held_out_images)
    assert features.shape == (360, 64)
    assert features.dtype == probabilities.dtype == torch.float64
    # No feature is dead, so that a covariance of all 64 exists.
    assert float(torch.linalg.eigvalsh(features.T.cov()).min()) > 0
    assert torch.allclose(found.network.head(features).softmax(1), probabilities, rtol=1e-12)


def test_features_in_single_precision_are_those_in_double(cache, brief):
    data = load("digits")
    found = Classifier.of(data)
    single = found.features(data.held_out_images)
    exact = found.network.body.double()(data.held_out_images.double())
    assert not torch.equal(single, exact)
    torch.testing.assert_close(single, exact, rtol=0, atol=2e-6 * float(exact.abs().max()))
    halves = [FeatureMoments(features[side]) for features in (single, exact) for side in (slice(180), slice(180, 360))]
    rounded, distance = squared_frechet(*halves[:2]).extrapolated, squared_frechet(*halves[2:]).extrapolated
    assert abs(rounded.value - distance.value) < 1e-4 * distance.standard_error
    assert rounded.standard_error == pytest.approx(distance.standard_error, rel=1e-4)


def test_cache_hit_is_bit_identical_and_trains_nothing(cache, brief, monkeypatch):
    data = random_data()
    first = Classifier.of(data)
    monkeypatch.setattr(classifier, "_train", lambda *_: pytest.fail("trained again"))
    again = Classifier.of(data)
    assert torch.equal(first.features(data.images), again.features(data.images))
    assert first.accuracy == again.accuracy
    assert sorted(path.suffix for path in cache.iterdir() if path.suffix != ".lock") == [".json", ".safetensors"]


def test_training_repeats(cache, brief):
    data = random_data()
    first = Classifier.of(data)
    for path in cache.iterdir():
        path.unlink()
    torch.manual_seed(1)
    assert torch.equal(Classifier.of(data).features(data.images), first.features(data.images))


@pytest.mark.parametrize("damage", ["bit", "truncated", "no record", "record", "stale record", "no weights"])
def test_damaged_cache_is_trained_anew(damage, cache, brief):
    data = random_data()
    expected = Classifier.of(data).features(data.images)
    (weights,), (record,) = cache.glob("*.safetensors"), cache.glob("*.json")
    whole, content = weights.read_bytes(), json.loads(record.read_text())
    match damage:
        case "bit":
            weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        case "truncated":
            weights.write_bytes(whole[:100])
        case "no record":
            record.unlink()
        case "record":
            record.write_text("[1, ")
        case "stale record":
            record.write_text(json.dumps(content | {"weights": "0" * 64}))
        case "no weights":
            weights.unlink()
    assert torch.equal(Classifier.of(data).features(data.images), expected)
    assert weights.read_bytes() == whole
    assert json.loads(record.read_text()) == content


def test_other_content_is_another_classifier(cache, brief, monkeypatch):
    data = random_data()
    Classifier.of(data)
    for other in (
        replace(data, images=1 - data.images),
        replace(data, labels=data.labels.flip(0)),
        replace(data, held_out_labels=data.held_out_labels.flip(0)),
        data.limited(30),
    ):
        Classifier.of(other)
    assert len(list(cache.glob("*.safetensors"))) == 5
    monkeypatch.setattr(classifier, "VERSION", 0)
    Classifier.of(data)
    assert len(list(cache.glob("*.safetensors"))) == 6


@pytest.mark.parametrize("image_shape", [(1, 28, 28), (3, 32, 32), (2, 5, 9), (1, 1, 1)])
def test_any_image_shape(image_shape, cache, brief):
    data = random_data(image_shape)
    assert Classifier.of(data).features(data.images).shape == (40, 64)


def test_one_class_is_refused(cache):
    with pytest.raises(Unclassifiable, match="random has 1"):
        Classifier.of(random_data(num_classes=1))
    assert not cache.exists()


def test_unwritable_cache_is_named_and_done_without(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LATENT_STUDY_CACHE", str(tmp_path / "file"))
    first = Classifier.of(random_data())
    (line,) = capsys.readouterr().err.splitlines()
    assert str(tmp_path / "file") in line
    assert "LATENT_STUDY_CACHE" in line
    assert Classifier.of(random_data()).accuracy == first.accuracy
    assert capsys.readouterr().err == ""
