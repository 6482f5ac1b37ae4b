"""Any directory of images."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from study.errors import DataError
from study.run.data.loading import load


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def rows(images: torch.Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


def write_png(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def colours(count: int, side: int = 8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3))


def write_classes(root: Path) -> dict[tuple[str, bytes], int]:
    """Twelve cats and eight dogs; the label of each image by its bytes."""
    for name, count, seed in (("cat", 12, 1), ("dog", 8, 2)):
        for index, pixels in enumerate(colours(count, seed=seed)):
            write_png(root / name / f"{index:02d}.png", pixels)
    return {
        (pixels.transpose(2, 0, 1) / np.float32(255)).astype(np.float32).tobytes(): label
        for label, (count, seed) in enumerate(((12, 1), (8, 2)))
        for pixels in colours(count, seed=seed)
    }


def test_a_folder_of_classes_in_colour(tmp_path):
    label_of = write_classes(tmp_path)
    (tmp_path / "cat" / "notes.txt").write_text("no image")
    (tmp_path / "README").write_text("no image")
    (tmp_path / ".cache").mkdir()
    data = load("folder", root=tmp_path, colour=True)
    assert data.image_shape == (3, 8, 8)
    assert data.class_names == ("cat", "dog")
    assert (len(data.images), len(data.held_out_images)) == (16, 4)
    assert not rows(data.images) & rows(data.held_out_images)
    assert rows(data.images) | rows(data.held_out_images) == label_of.keys()
    for images, labels in ((data.images, data.labels), (data.held_out_images, data.held_out_labels)):
        assert [label_of[image.numpy().tobytes()] for image in images] == labels.tolist()
    files = sorted(path for path in tmp_path.rglob("*.png"))
    listing = "".join(f"{sha256(path.read_bytes())}  {path.relative_to(tmp_path).as_posix()}\n" for path in files)
    assert data.checksum == sha256(listing.encode())


def test_grey_is_luma_and_the_default(tmp_path):
    write_classes(tmp_path)
    grey, colour = load("folder", root=tmp_path), load("folder", root=tmp_path, colour=True)
    assert grey.image_shape == (1, 8, 8)
    luma = torch.einsum("c,nchw->nhw", torch.tensor([0.299, 0.587, 0.114]), colour.images)
    assert (grey.images[:, 0] - luma).abs().max() < 1 / 255
    assert grey.checksum == colour.checksum


def test_a_flat_folder_has_one_class(tmp_path):
    root = tmp_path / "faces"
    for index, pixels in enumerate(colours(10)):
        write_png(root / f"{index}.png", pixels)
    data = load("folder", root=root)
    assert data.class_names == ("faces",)
    assert (len(data.images), len(data.held_out_images)) == (8, 2)
    assert data.labels.unique().tolist() == [0]


def test_a_folder_is_read_alike_each_time_and_its_content_is_identified(tmp_path):
    write_classes(tmp_path)
    first, second = load("folder", root=tmp_path), load("folder", root=tmp_path)
    assert torch.equal(first.images, second.images)
    assert first.checksum == second.checksum
    (tmp_path / "cat" / "00.png").rename(tmp_path / "dog" / "00b.png")
    assert load("folder", root=tmp_path).checksum != first.checksum


def test_images_of_different_sizes_need_a_size(tmp_path):
    write_png(tmp_path / "a.png", np.full((8, 8), 51))
    write_png(tmp_path / "b.png", np.full((8, 16), 102))
    with pytest.raises(DataError, match=r"b.png has 16×8 pixels and the images before it 8×8; set image_size"):
        load("folder", root=tmp_path)
    data = load("folder", root=tmp_path, image_size=4)
    assert data.image_shape == (1, 4, 4)
    levels = torch.cat([data.images, data.held_out_images]).flatten(1)
    assert torch.allclose(levels.sort(0).values, torch.tensor([[0.2], [0.4]]).expand(2, 16))


def not_an_image(root: Path) -> str:
    (root / "z.png").write_bytes(b"not an image")
    return "z.png cannot be decoded"


def truncated(root: Path) -> str:
    packed = io.BytesIO()
    Image.fromarray(colours(1, side=64)[0].astype(np.uint8)).save(packed, "png")
    (root / "z.png").write_bytes(packed.getvalue()[: len(packed.getvalue()) // 2])
    return "z.png (cannot be decoded|has 64×64)"


def deep(root: Path) -> str:
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(root / "z.png")
    return "z.png has pixels of more than 8 bits; convert it to 8 bits"


def mixed(root: Path) -> str:
    write_png(root / "cat" / "0.png", np.zeros((8, 8)))
    return r"holds both class folders \(cat, …\) and images \(0.png, …\)"


def empty_class(root: Path) -> str:
    (root / "cat").mkdir()
    return "Found no valid file for the classes cat"


def no_images(root: Path) -> str:
    for path in root.glob("*.png"):
        path.unlink()
    return "Found no valid file"


def one_image(root: Path) -> str:
    no_images(root)
    write_png(root / "0.png", np.zeros((8, 8)))
    return "holds one image; training and held-out images need at least two"


@pytest.mark.parametrize("spoil", [not_an_image, truncated, deep, mixed, empty_class, no_images, one_image])
def test_a_folder_that_cannot_be_used_says_why(spoil, tmp_path):
    for index, pixels in enumerate(colours(6)):
        write_png(tmp_path / f"{index}.png", pixels)
    message = spoil(tmp_path)
    with pytest.raises(DataError, match=message) as caught:
        load("folder", root=tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="absent is not a directory; give the directory of images as --data-root"):
        load("folder", root=tmp_path / "absent")
