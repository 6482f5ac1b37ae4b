"""Data sets of other packages: whatever their readers do ends in one sentence that names them, with exit code 3."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch

from study.cli import main
from study.design import registry
from study.errors import ConfigurationError, DataError, EnvironmentFault
from study.measurement.images import ImageData
from study.run.data.datasets import Dataset
from study.run.data.loading import load


def images(**changes) -> ImageData:
    pixels = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    fields = {
        "name": "plugged",
        "images": pixels[:30],
        "labels": torch.arange(30) % 2,
        "held_out_images": pixels[30:],
        "held_out_labels": torch.arange(10) % 2,
        "class_names": ("even", "odd"),
        "checksum": "0" * 64,
        "verification": "none",
    }
    return ImageData(**fields | changes)


def good() -> ImageData:
    return images()


class Plugged(Dataset):
    """Forty random images."""

    reference = "this test"
    image_shape = (1, 8, 8)
    reader = staticmethod(good)

    def __init__(self, *, size: int = 1) -> None:
        if size < 1:
            raise ValueError(f"size must be positive; got {size}")

    def read(self, root: Path, *, image_size: int | None, download: bool) -> ImageData:
        return self.reader()


@pytest.fixture
def plug(monkeypatch):
    """Installs the data set ``plugged``, whose images come from a given function."""
    entry = EntryPoint("plugged", f"{__name__}:Plugged", "latent_study.datasets")

    def installed(group, path):
        return (entry,) if group == "latent_study.datasets" else ()

    monkeypatch.setattr(registry, "_entry_points", installed)
    monkeypatch.setattr(EntryPoint, "load", lambda _: Plugged)
    return lambda reader: monkeypatch.setattr(Plugged, "reader", staticmethod(reader))


def raising(error: BaseException):
    def reader() -> ImageData:
        raise error

    return reader


READERS = {
    "pixels in [−1, 1]": (lambda: images(images=torch.rand(30, 1, 8, 8) * 2 - 1), r"must lie in \[0, 1\]"),
    "levels": (
        lambda: images(images=torch.randint(0, 256, (30, 1, 8, 8), dtype=torch.uint8)),
        r"must be float32 of shape \(N, C, H, W\) with N ≥ 1; got torch.uint8",
    ),
    "levels as floats": (lambda: images(held_out_images=torch.rand(10, 1, 8, 8) * 255), r"held-out images must lie"),
    "float64": (lambda: images(images=torch.rand(30, 1, 8, 8).double()), "got torch.float64"),
    "NaN": (lambda: images(images=torch.full((30, 1, 8, 8), torch.nan)), r"got \[nan, nan\]"),
    "channels left out": (lambda: images(images=torch.rand(30, 8, 8)), r"of shape \(30, 8, 8\)"),
    "none held out": (lambda: images(held_out_images=torch.rand(0, 1, 8, 8)), "with N ≥ 1"),
    "other shapes": (lambda: images(held_out_images=torch.rand(10, 1, 9, 8)), "must have the training images' shape"),
    "labels without a class": (lambda: images(labels=torch.arange(30)), "must index the 2 class names; got 0 to 29"),
    "negative labels": (lambda: images(labels=torch.full((30,), -1)), "must index the 2 class names; got -1 to -1"),
    "int32 labels": (lambda: images(labels=torch.zeros(30, dtype=torch.int32)), "labels must be int64"),
    "arrays": (
        lambda: images(images=torch.rand(30, 1, 8, 8).numpy()),
        "training images and labels must be tensors; got ndarray",
    ),
    "nothing": (lambda: None, "must give ImageData; got NoneType"),
    "a pair": (lambda: (torch.rand(3), torch.rand(3)), "must give ImageData; got tuple"),
    "alike": (lambda: images(images=torch.zeros(30, 1, 8, 8), held_out_images=torch.zeros(10, 1, 8, 8)), "are alike"),
    "no file": (raising(FileNotFoundError(2, "No such file or directory", "x.npz")), "FileNotFoundError: .*x.npz"),
    "no key": (raising(KeyError("train")), "KeyError: 'train'"),
    "no package": (raising(ImportError("no module named h5py")), "ImportError: no module named h5py"),
    "no network": (raising(OSError("unreachable\nhost")), "OSError: unreachable host"),
    "no words": (raising(AssertionError()), "AssertionError: no reason given"),
    "no memory": (raising(MemoryError()), "MemoryError: no reason given"),
}


@pytest.mark.parametrize(("reader", "message"), READERS.values(), ids=READERS)
def test_what_is_wrong_with_its_images_is_one_sentence(reader, message, plug, tmp_path, capsys):
    plug(reader)
    with pytest.raises(DataError, match=message) as caught:
        load("plugged", root=tmp_path)
    assert "dataset plugged" in str(caught.value)
    assert main(["run", "smoke", "dataset=plugged", "limit=none", "--results", str(tmp_path / "results")]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: dataset plugged")


def test_a_reader_that_does_not_resize(plug, tmp_path):
    plug(good)
    assert load("plugged", root=tmp_path).image_shape == (1, 8, 8)
    with pytest.raises(DataError, match=r"dataset plugged: its reader must give images of 9×9 where image_size=9; got"):
        load("plugged", root=tmp_path, image_size=9)


def test_its_own_sentences_and_faults_of_the_computer_stay_as_they_are(plug, tmp_path):
    for error in (DataError("mine"), EnvironmentFault("theirs")):
        plug(raising(error))
        with pytest.raises(type(error), match=f"^{error}$"):
            load("plugged", root=tmp_path)
    plug(raising(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        load("plugged", root=tmp_path)


def test_an_option_that_it_refuses_is_a_matter_of_configuration(plug, tmp_path):
    plug(good)
    with pytest.raises(ConfigurationError, match="size must be positive; got 0"):
        load("plugged", root=tmp_path, size=0)


def test_its_notes_are_printed_unless_all_is_quiet(plug, tmp_path, capsys):
    plug(lambda: replace(images(), notes=("one", "two")))
    load("plugged", root=tmp_path, quiet=True)
    assert capsys.readouterr().err == ""
    load("plugged", root=tmp_path)
    assert capsys.readouterr().err == "one\ntwo\n"
