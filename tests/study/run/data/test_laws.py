"""Laws of every data set, whichever files it has."""

from __future__ import annotations

import re

import pytest
import torch

from study.design.families import DATASETS
from study.errors import DataError
from study.run.data.datasets import Dataset
from study.run.data.loading import load

BUNDLED = [name for name in DATASETS if DATASETS[name].bundled]
IN_FILES = [name for name in DATASETS if not DATASETS[name].bundled]


@pytest.mark.parametrize("name", DATASETS)
def test_it_is_named_by_its_file_and_described(name):
    dataset = DATASETS[name]()
    assert isinstance(dataset, Dataset)
    assert dataset.name == name
    assert (dataset.__doc__ or "").splitlines()[0].endswith(".")
    assert dataset.reference


@pytest.mark.parametrize("size", [None, 7])
@pytest.mark.parametrize("name", BUNDLED)
def test_it_is_read_alike_each_time_in_the_shape_that_it_promises(name, size):
    first, second = load(name, image_size=size), load(name, image_size=size)
    assert first.name == name
    assert first.image_shape == (DATASETS[name].image_shape if size is None else (first.image_shape[0], size, size))
    for images, promised in (
        (first.images, DATASETS[name].num_images),
        (first.held_out_images, DATASETS[name].num_held_out),
    ):
        assert promised in {None, len(images)}
    for (_, images, labels), (_, again, labels_again) in zip(first.splits(), second.splits(), strict=True):
        assert torch.equal(images, again)
        assert torch.equal(labels, labels_again)
    assert re.fullmatch("[0-9a-f]{64}", first.checksum)
    assert first.checksum == load(name, limit=2).checksum
    assert first.verification


@pytest.mark.parametrize("name", IN_FILES)
def test_absent_files_are_named_with_their_place_and_nothing_is_made(name, tmp_path):
    with pytest.raises(DataError, match="--data-root") as caught:
        load(name, root=tmp_path / "absent")
    assert str(tmp_path / "absent") in str(caught.value)
    assert name in str(caught.value)
    assert list(tmp_path.iterdir()) == []
