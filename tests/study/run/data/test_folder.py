"""Any directory of images."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import study.run.data.resizing
from study.cli import main
from study.errors import ConfigurationError, DataError
from study.run.data.datasets import folder
from study.run.data.decoding import decode
from study.run.data.loading import load


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache directory of this test's own."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("LATENT_STUDY_CACHE", str(folder))
    return folder


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


def cached(cache: Path) -> list[Path]:
    return sorted(path for path in cache.rglob("*") if path.is_file())


@pytest.fixture
def decodings(monkeypatch) -> list[Path]:
    """Every file that is decoded."""
    done = []

    def counted(content, path, **options):
        done.append(path)
        return decode(content, path, **options)

    monkeypatch.setattr(folder, "decode", counted)
    return done


@pytest.mark.parametrize("options", [{}, {"colour": True}, {"image_size": 5}, {"background": "black"}])
def test_images_are_decoded_once(options, tmp_path, cache, decodings):
    write_classes(tmp_path)
    first = load("folder", root=tmp_path, **options)
    second = load("folder", root=tmp_path, **options)
    assert len(decodings) == 20
    (file,) = cached(cache)
    assert file.suffix == ".safetensors"
    for name in ("images", "labels", "held_out_images", "held_out_labels"):
        assert torch.equal(getattr(first, name), getattr(second, name))
    assert (first.checksum, first.notes) == (second.checksum, second.notes)


def test_another_choice_another_content_or_another_name_is_decoded_anew(tmp_path, decodings):
    write_classes(tmp_path)
    for number, options in enumerate(({}, {"colour": True}, {"image_size": 5}, {"background": "black"}), start=1):
        load("folder", root=tmp_path, **options)
        assert len(decodings) == 20 * number
    write_png(tmp_path / "cat" / "00.png", colours(1, seed=9)[0])
    changed = load("folder", root=tmp_path)
    assert len(decodings) == 100
    (tmp_path / "cat" / "01.png").rename(tmp_path / "cat" / "99.png")
    assert load("folder", root=tmp_path).checksum != changed.checksum
    assert len(decodings) == 120


def flipped(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)


def shortened(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-9])


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def counted_otherwise(file: Path) -> None:
    content = file.read_bytes()
    assert b'"animated":"0"' in content
    file.write_bytes(content.replace(b'"animated":"0"', b'"animated":"7"'))


def replaced_by_a_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def replaced_by_a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "spoil", [flipped, shortened, emptied, counted_otherwise, replaced_by_a_pipe, replaced_by_a_folder]
)
def test_a_damaged_cache_is_decoded_anew(spoil, tmp_path, cache, decodings):
    write_classes(tmp_path)
    first = load("folder", root=tmp_path)
    spoil(cached(cache)[0])
    second = load("folder", root=tmp_path)
    assert len(decodings) == 40
    assert torch.equal(first.images, second.images)
    assert first.notes == second.notes


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, cache, monkeypatch, capsys):
    write_classes(tmp_path / "images")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LATENT_STUDY_CACHE", str(tmp_path / "file" / "cache"))
    assert len(load("folder", root=tmp_path / "images").images) == 16
    assert not cached(cache)
    assert capsys.readouterr().err == ""


def test_transparent_and_animated_images_are_counted_from_the_cache_too(tmp_path, capsys):
    write_classes(tmp_path)
    ink = np.zeros((8, 8, 4), np.uint8)
    ink[2, 3, 3] = 255
    Image.fromarray(ink).save(tmp_path / "cat" / "x.png")
    frames = [Image.new("L", (8, 8), level) for level in (40, 90)]
    frames[0].save(tmp_path / "dog" / "x.gif", save_all=True, append_images=frames[1:])
    for _ in range(2):
        load("folder", root=tmp_path)
        assert capsys.readouterr().err.splitlines() == [
            "folder: 1 images are transparent in places and lie on white (dataset.background)",
            "folder: 1 files hold several frames, of which the first is read",
        ]


@pytest.mark.parametrize("ink", [0, 255])
def test_ink_in_the_alpha_channel_is_seen_on_the_other_background(ink, tmp_path):
    for index, alpha in enumerate(colours(10)[..., 0]):
        write_png(tmp_path / f"{index}.png", np.dstack([np.full((8, 8, 3), ink), alpha]))
    seen, unseen = ("white", "black") if ink == 0 else ("black", "white")
    assert load("folder", root=tmp_path, background=seen).images.std() > 0.1
    with pytest.raises(
        DataError, match=rf"all 10 images are alike \(.*transparent .* lie on {unseen} \(dataset.backgr"
    ):
        load("folder", root=tmp_path, background=unseen)


@pytest.mark.parametrize("write", ["copies", "one colour", "one colour in many sizes", "transparent"])
def test_images_that_are_all_alike_are_refused(write, tmp_path):
    image = colours(1)[0]
    for index in range(5):
        match write:
            case "copies":
                pixels = image
            case "one colour":
                pixels = np.full((8, 8), 7)
            case "one colour in many sizes":
                pixels = np.full((8 + index, 8), 7)
            case _:
                pixels = np.zeros((8, 8, 4))
        write_png(tmp_path / f"{index}.png", pixels)
    with pytest.raises(DataError, match=r"^dataset folder: all 5 images are alike"):
        load("folder", root=tmp_path, image_size=4)
    write_png(tmp_path / "other.png", colours(1, seed=1)[0])
    assert len(load("folder", root=tmp_path, image_size=4).images) == 4


@pytest.mark.parametrize("size", [20_000, None])
def test_more_images_than_memory_are_refused_before_it_is_taken(size, tmp_path, monkeypatch):
    write_classes(tmp_path)
    monkeypatch.setattr(study.run.data.resizing, "available_memory", lambda: 4_000)
    monkeypatch.setattr(torch.Tensor, "new_empty", lambda *_, **__: pytest.fail("memory was taken"))
    with pytest.raises((DataError, ConfigurationError), match=r"20 images of 1×8×8 need .* GB of memory|at most 8,192"):
        load("folder", root=tmp_path, image_size=size)


def test_a_very_long_image_is_not_resized_beyond_memory(tmp_path):
    Image.new("L", (60_000_000, 1)).save(tmp_path / "a.png")
    write_png(tmp_path / "b.png", colours(1)[0])
    with pytest.raises(DataError, match=r"images of 1×8192×491,?520,?000,?000 need [\d,.]+ GB of memory"):
        load("folder", root=tmp_path, image_size=8192)


def test_mixed_kinds_of_files_make_one_data_set(tmp_path):
    pixels = colours(6, side=16).astype(np.uint8)
    for index, (suffix, mode) in enumerate(
        [("png", "RGBA"), ("jpg", "CMYK"), ("gif", "P"), ("bmp", "1"), ("TIFF", "YCbCr"), ("webp", "RGB")]
    ):
        Image.fromarray(pixels[index]).convert(mode).save(tmp_path / f"{index}.{suffix}")
    for colour, channels in ((False, 1), (True, 3)):
        data = load("folder", root=tmp_path, colour=colour)
        assert data.image_shape == (channels, 16, 16)
        assert len(data.images) + len(data.held_out_images) == 6


@pytest.mark.slow
def test_images_are_read_from_the_cache_and_not_decoded_again(tmp_path, decodings):
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for index in range(1_000):
            image = Image.fromarray(random.integers(0, 256, (8, 8), dtype=np.uint8))
            image.save(tmp_path / name / f"{index}.png", compress_level=0)
    first = load("folder", root=tmp_path)
    second = load("folder", root=tmp_path)
    assert len(decodings) == 2_000
    assert torch.equal(first.images, second.images)


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 6])
def test_a_study_of_very_few_images_runs_without_a_raw_warning(count, tmp_path, capsys):
    """Warnings are errors here; what so few images do not tell is refused, quantity by quantity."""
    for index, pixels in enumerate(colours(count)):
        write_png(tmp_path / "images" / f"{index}.png", pixels)
    words = "run smoke dataset=folder limit=none latent_dim=2 prior=standard_normal seeds=1 --no-report --workers 1"
    place = ["--data-root", str(tmp_path / "images"), "--results", str(tmp_path / "results")]
    assert main([*words.split(), *place]) == 0
    assert "Warning" not in capsys.readouterr().err
