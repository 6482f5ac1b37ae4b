"""Which files of a folder are read: links, names, layouts and what is left out."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from study.errors import DataError
from study.run.data.collection import collect
from study.run.data.loading import load


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("LATENT_STUDY_CACHE", str(tmp_path_factory.mktemp("cache")))


def write(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (4, 4), dtype=np.uint8)).save(path)


def write_classes(root: Path, *names: str, count: int = 6) -> None:
    for label, name in enumerate(names):
        for index in range(count):
            write(root / name / f"{index}.png", 100 * len(root.parts) + 10 * label + index)


def read(root: Path) -> list[tuple[str, str]]:
    """Path beneath ``root`` and class of each image."""
    found = collect(root)
    return [
        (path.relative_to(root).as_posix(), found.classes[label])
        for path, label in zip(found.paths, found.labels, strict=True)
    ]


def link_to_root(root: Path) -> None:
    (root / "a" / "self").symlink_to(root)


def two_links_to_the_class(root: Path) -> None:
    (root / "a" / "l1").symlink_to(root / "a")
    (root / "a" / "l2").symlink_to(root / "a")


def links_across(root: Path) -> None:
    (root / "a" / "b").symlink_to(root / "b")
    (root / "b" / "a").symlink_to(root / "a")


def link_above(root: Path) -> None:
    write(root.parent / "elsewhere.png", 0)
    (root / "a" / "up").symlink_to(root.parent)


def second_class(root: Path) -> None:
    (root / "aa").symlink_to(root / "a")


def linked_images(root: Path) -> None:
    (root / "a" / "00.png").symlink_to(root / "b" / "1.png")


def hard_links(root: Path) -> None:
    os.link(root / "a" / "1.png", root / "b" / "copy.png")


def broken_link(root: Path) -> None:
    (root / "a" / "gone.png").symlink_to(root / "absent.png")


def link_to_itself(root: Path) -> None:
    (root / "a" / "me.png").symlink_to(root / "a" / "me.png")


def pipe(root: Path) -> None:
    os.mkfifo(root / "a" / "x.png")


def linked_pipe(root: Path) -> None:
    os.mkfifo(root.parent / "pipe")
    (root / "b" / "x.png").symlink_to(root.parent / "pipe")


def plug(root: Path) -> None:
    before = Path.cwd()
    os.chdir(root / "a")  # the address of a socket is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("x.png")
    os.chdir(before)


def device(root: Path) -> None:
    (root / "a" / "x.png").symlink_to("/dev/zero")


def hidden(root: Path) -> None:
    write(root / "a" / "._0.png", 0)
    write(root / ".cache" / "0.png", 0)
    write(root / "a" / ".thumbnails" / "0.png", 0)
    write(root / "__MACOSX" / "0.png", 0)


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    ("spoil", "left_out"),
    [
        (link_to_root, "1 further names of what is read"),
        (two_links_to_the_class, "2 further names of what is read"),
        (links_across, "2 further names of what is read"),
        (link_above, "1 further names of what is read"),
        (second_class, "1 further names of what is read"),
        (linked_images, "1 further names of what is read"),
        (hard_links, "1 further names of what is read"),
        (broken_link, "1 broken links"),
        (link_to_itself, "1 broken links"),
        (pipe, "1 no regular files"),
        (linked_pipe, "1 no regular files"),
        (plug, "1 no regular files"),
        (device, "1 no regular files"),
        (hidden, "4 hidden"),
    ],
)
def test_each_real_file_is_read_once_and_nothing_else(spoil, left_out, tmp_path, capsys):
    root = tmp_path / "images"
    write_classes(root, "a", "b")
    clean, data = read(root), load("folder", root=root)
    spoil(root)
    assert read(root) == clean
    again = load("folder", root=root)
    assert again.checksum == data.checksum
    assert again.class_names == ("a", "b")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"folder: left out of {root}: {left_out}; ")


def test_links_to_what_lies_elsewhere_are_followed(tmp_path):
    write_classes(tmp_path / "store", "cats", "dogs")
    root = tmp_path / "chosen"
    (root / "dog").mkdir(parents=True)
    (root / "cat").symlink_to(tmp_path / "store" / "cats")
    (root / "dog" / "one.png").symlink_to(tmp_path / "store" / "dogs" / "3.png")
    assert read(root) == [*((f"cat/{index}.png", "cat") for index in range(6)), ("dog/one.png", "dog")]
    (tmp_path / "alias").symlink_to(root)
    assert read(tmp_path / "alias") == read(root)


def test_folders_within_a_class_belong_to_it(tmp_path):
    write_classes(tmp_path, "a", "b/deep/deeper")
    assert {name for path, name in read(tmp_path) if path.startswith("b/deep/deeper/")} == {"b"}


def test_formats_that_are_not_read_are_counted_in_one_line(tmp_path, capsys):
    write_classes(tmp_path, "a", "b")
    for name in ("a/1.heic", "a/2.HEIC", "b/x.svg", "b/labels.csv", "README", "a/new\x1b[2J\nline.t\x1bt"):
        (tmp_path / name).write_bytes(b"")
    load("folder", root=tmp_path)
    load("folder", root=tmp_path, quiet=True)
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        f"folder: left out of {tmp_path}: 1 .csv, 2 .heic, 1 .svg, 1 .t\\x1bt, 1 without a suffix; "
        "names of images end in .jpg .jpeg .jfif .png .apng .gif .bmp .pbm .pgm .ppm .tif .tiff .webp"
    )


def test_a_class_whose_formats_are_not_read_is_refused_with_their_names(tmp_path):
    write_classes(tmp_path, "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "1.heic").write_bytes(b"")
    with pytest.raises(DataError, match=r"Found no valid file for the classes b \(but 1 .heic\); add images"):
        collect(tmp_path)


ODD = [b"caf\xe9.png", b"\xff\xfe.png", b"a\nb.png", b"a\\b.png", b"\x1b[2J.png", "ü€漢.png".encode(), b" .png"]


@pytest.mark.parametrize("name", ODD)
def test_any_name_can_be_read(name, tmp_path):
    write_classes(tmp_path, "a", "b")
    os.rename(tmp_path / "a" / "0.png", os.fsencode(tmp_path / "a") + b"/" + name)
    os.rename(tmp_path / "b", os.fsencode(tmp_path) + b"/" + name.removesuffix(b".png") + b"b")
    data = load("folder", root=tmp_path)
    assert len(data.images) + len(data.held_out_images) == 12
    assert all(class_name.isprintable() for class_name in data.class_names)


@pytest.mark.parametrize("name", ODD)
def test_the_checksum_is_that_of_the_shells_listing(name, tmp_path):
    """The reference is coreutils' own program."""
    for index in range(3):
        write(tmp_path / f"{index}.png", index)
    os.rename(tmp_path / "1.png", os.fsencode(tmp_path) + b"/" + name)
    files = [path.name for path in collect(tmp_path).paths]
    listing = subprocess.run(["sha256sum", *files], cwd=tmp_path, capture_output=True, check=True).stdout
    assert load("folder", root=tmp_path).checksum == hashlib.sha256(listing).hexdigest()


@pytest.mark.parametrize("name", ODD)
def test_a_spoilt_file_of_any_name_is_named_on_one_line(name, tmp_path):
    write_classes(tmp_path, "a", "b")
    with open(os.fsencode(tmp_path / "a") + b"/" + name, "wb") as file:
        file.write(b"no image")
    with pytest.raises(DataError, match="cannot be decoded") as caught:
        load("folder", root=tmp_path)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("names", [("train", "test"), ("Train", "Val"), ("training", "validation"), ("train", "valid")])
def test_a_published_split_is_taken(names, tmp_path, capsys):
    training, held_out = names
    write_classes(tmp_path / training, "a", "b")
    write_classes(tmp_path / held_out, "a", "b", count=3)
    for index, path in enumerate(sorted((tmp_path / held_out).rglob("*.png"))):
        write(path, 1_000 + index)
    data = load("folder", root=tmp_path)
    assert data.class_names == ("a", "b")
    assert data.labels.tolist() == [0] * 6 + [1] * 6
    assert data.held_out_labels.tolist() == [0] * 3 + [1] * 3
    stored = np.array(Image.open(tmp_path / held_out / "a" / "0.png"))
    assert np.array_equal(data.held_out_images[0, 0].numpy() * 255, stored)
    line = f"folder: {tmp_path / training} is trained on and {tmp_path / held_out} held out"
    assert capsys.readouterr().err.splitlines() == [line]


def test_of_test_and_validation_images_the_former_are_held_out(tmp_path, capsys):
    for number, name in enumerate(("train", "val", "test")):
        write(tmp_path / name / "0.png", number)
        write(tmp_path / name / "1.png", 10 + number)
    data = load("folder", root=tmp_path)
    assert data.class_names == (tmp_path.name,)
    assert (len(data.images), len(data.held_out_images)) == (2, 2)
    assert capsys.readouterr().err.endswith("test held out; val left aside\n")


def test_copies_of_training_images_among_the_held_out_ones_are_counted(tmp_path, capsys):
    write_classes(tmp_path / "train", "a", "b")
    write_classes(tmp_path / "test", "a", "b", count=3)
    for index in range(2):
        (tmp_path / "test" / "b" / f"{index}.png").write_bytes((tmp_path / "train" / "b" / f"{index}.png").read_bytes())
    for index, path in enumerate([*(tmp_path / "test" / "a").iterdir(), tmp_path / "test" / "b" / "2.png"]):
        write(path, 1_000 + index)
    load("folder", root=tmp_path)
    assert "folder: 2 of 6 held-out images are byte for byte training images too" in capsys.readouterr().err


def only_train(root: Path) -> str:
    write_classes(root / "train", "a", "b")
    return r"holds only train of a split and lacks a held-out one \(test or val\); add it, or give .*/train as --data-r"


def only_test(root: Path) -> str:
    write_classes(root / "test", "a", "b")
    write_classes(root / "val", "a", "b")
    return r"holds only test, val of a split and lacks a training one"


def extra(root: Path) -> str:
    for name in ("train", "test", "extra"):
        write_classes(root / name, "a", "b")
    return r"holds the folders of a split \(train, test\) and others \(extra, …\) side by side"


def stray(root: Path) -> str:
    write_classes(root, "train", "test")
    write(root / "0.png", 0)
    return r"holds the folders of a split \(train, test\) and images \(0.png, …\) side by side"


def other_classes(root: Path) -> str:
    write_classes(root / "train", "a", "b")
    write_classes(root / "test", "a", "c")
    return r"test has the class c, which the training images lack \(a, b, …\)"


def flat_test(root: Path) -> str:
    write_classes(root / "train", "a", "b")
    write_classes(root, "val")
    return r"val has the class images, which the training images lack"


def within_classes(root: Path) -> str:
    write_classes(root / "cat", "train", "test")
    write_classes(root / "dog", "train", "test")
    return r"cat holds a training and a held-out folder of its own; give it as --data-root, or lay the images out as"


def too_high(root: Path) -> str:
    write_classes(root / "set" / "train", "a", "b")
    write_classes(root / "set" / "test", "a", "b")
    return r"set holds a training and a held-out folder of its own; give it as --data-root"


@pytest.mark.parametrize(
    "spoil", [only_train, only_test, extra, stray, other_classes, flat_test, within_classes, too_high]
)
def test_a_split_that_is_ambiguous_is_refused(spoil, tmp_path):
    root = tmp_path / "images"
    message = spoil(root)
    with pytest.raises(DataError, match=message):
        load("folder", root=root)


def test_a_class_may_be_named_train(tmp_path):
    write_classes(tmp_path, "car", "train")
    assert load("folder", root=tmp_path).class_names == ("car", "train")
