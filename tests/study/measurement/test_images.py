"""ImageData: the contract, the held-out split, limits and resizing."""

from __future__ import annotations

import pytest
import torch

from study.measurement.images import ImageData, held_out_split
from study.run.data.loading import load
from study.run.data.resizing import resized


def rows(images: torch.Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


@pytest.mark.parametrize("sizes", [[2], [1, 1], [7, 1, 30, 4], [100, 200, 55], [1] * 11])
def test_a_split_is_a_stratified_partition(sizes):
    labels = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    training, held_out = held_out_split(labels)
    assert sorted([*training.tolist(), *held_out.tolist()]) == list(range(len(labels)))
    assert len(held_out) == -(-len(labels) // 5)
    assert len(training) >= 1
    for label, size in enumerate(sizes):
        assert abs(int((labels[held_out] == label).sum()) - size / 5) < 1


def test_a_split_is_reproducible_and_random():
    labels = torch.zeros(100, dtype=torch.int64)
    torch.manual_seed(0)
    first = held_out_split(labels)[1]
    torch.manual_seed(1)
    assert torch.equal(held_out_split(labels)[1], first)
    assert first.diff().unique().numel() > 3


def test_a_larger_limit_contains_a_smaller_one():
    full, few, more = load("digits"), load("digits", limit=50), load("digits", limit=200)
    assert torch.equal(more.images[:50], few.images)
    assert torch.equal(more.labels[:50], few.labels)
    assert torch.equal(more.held_out_images, full.held_out_images)
    assert few.checksum == full.checksum
    assert few.labels.unique().numel() == 10
    label_of = {image.numpy().tobytes(): int(label) for image, label in zip(full.images, full.labels, strict=True)}
    assert [label_of[image.numpy().tobytes()] for image in few.images] == few.labels.tolist()
    assert rows(load("digits", limit=1437).images) == rows(full.images)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": torch.zeros(3, 4, 4)}, r"training images must be float32 of shape \(N, C, H, W\)"),
        ({"images": torch.zeros(3, 1, 4, 4, dtype=torch.uint8)}, "got torch.uint8"),
        ({"images": torch.zeros(0, 1, 4, 4)}, "N ≥ 1"),
        ({"images": torch.full((3, 1, 4, 4), 1.5)}, r"must lie in \[0, 1\]; got \[1.5, 1.5\]"),
        ({"images": torch.full((3, 1, 4, 4), -1e-6)}, r"must lie in \[0, 1\]"),
        ({"held_out_images": torch.full((2, 1, 4, 4), torch.nan)}, r"held-out images must lie in \[0, 1\]; got \[nan"),
        ({"labels": torch.zeros(2, dtype=torch.int64)}, r"training labels must be int64 of shape \(3,\)"),
        ({"labels": torch.zeros(3)}, "got torch.float32"),
        ({"held_out_images": torch.zeros(2, 1, 5, 5)}, r"shape \(1, 4, 4\); got \(1, 5, 5\)"),
    ],
)
def test_image_data_refuse_what_breaks_their_contract(change, message):
    fields = {
        "name": "test",
        "images": torch.zeros(3, 1, 4, 4),
        "labels": torch.zeros(3, dtype=torch.int64),
        "held_out_images": torch.zeros(2, 1, 4, 4),
        "held_out_labels": torch.zeros(2, dtype=torch.int64),
        "class_names": ("all",),
        "checksum": "0" * 64,
        "verification": "none",
    }
    ImageData(**fields)
    with pytest.raises(ValueError, match=message):
        ImageData(**fields | change)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_image_data_move_as_a_whole():
    data = load("digits").to("cuda")
    assert {t.device.type for t in (data.images, data.labels, data.held_out_images, data.held_out_labels)} == {"cuda"}
    assert data.limited(5).images.is_cuda


def test_resizing_is_antialiased_and_keeps_constants():
    stripes = (torch.arange(63) % 2).float().expand(1, 1, 63, 63)
    # A triangle three pixels wide on either side weighs (1, 2, 3, 2, 1)/9, hence 4/9 and 5/9 in turn; sampling without
    # a filter would give 0 and 1.
    assert torch.allclose((resized(stripes, 21)[..., 1:-1] - 0.5).abs(), torch.tensor(1 / 18), atol=1e-6)
    for size in (3, 28, 50):
        assert torch.allclose(resized(torch.full((2, 3, 28, 28), 0.3), size), torch.full((2, 3, size, size), 0.3))
    assert resized(torch.ones(1, 1, 28, 28), 13).max() <= 1


def test_resizing_keeps_the_centre_of_the_longer_side():
    wide = torch.zeros(1, 1, 4, 12)
    wide[..., 4:8] = 1
    assert torch.equal(resized(wide, 4), torch.ones(1, 1, 4, 4))
    assert torch.equal(resized(wide.transpose(2, 3), 4), torch.ones(1, 1, 4, 4))
    assert resized(wide, 9).shape == (1, 1, 9, 9)
    assert resized(wide, None) is wide


def test_digits_at_another_size():
    data = load("digits", image_size=32)
    assert data.image_shape == (1, 32, 32)
    assert data.held_out_images.shape[1:] == (1, 32, 32)
    assert data.checksum == load("digits").checksum
