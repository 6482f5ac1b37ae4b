"""Decoding: each image as a viewer would show it, against pixels computed by hand."""

from __future__ import annotations

import io
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from study.errors import DataError
from study.run.data import decoding
from study.run.data.decoding import decode

PATH = Path("folder/x.png")
RANDOM = np.random.default_rng(0).integers(0, 256, (6, 5, 4), dtype=np.uint8)


def packed(image: Image.Image, format: str = "png", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def pixels(content: bytes, *, colour: bool = True, background: str = "white") -> np.ndarray:
    """Pixels (H, W, C)."""
    return decode(content, PATH, colour=colour, background=background).pixels.permute(1, 2, 0).numpy()


def over(front: np.ndarray, alpha: np.ndarray, ground: int) -> np.ndarray:
    share = alpha[..., None] / 255
    return front * share + ground * (1 - share)


@pytest.mark.parametrize(("background", "ground"), [("white", 255), ("black", 0)])
@pytest.mark.parametrize("format", ["png", "webp", "tiff"])
def test_colours_are_composited_by_their_alpha(format, background, ground):
    image = Image.fromarray(RANDOM, "RGBA")
    content = packed(image, format, **({"lossless": True, "exact": True} if format == "webp" else {}))
    expected = over(RANDOM[..., :3], RANDOM[..., 3], ground)
    assert np.abs(pixels(content, background=background) - expected).max() <= 1


@pytest.mark.parametrize(("background", "ground"), [("white", 255), ("black", 0)])
def test_grey_is_composited_by_its_alpha(background, ground):
    levels = RANDOM[..., :2]
    content = packed(Image.fromarray(levels, "LA"))
    expected = over(levels[..., :1], levels[..., 1], ground)
    assert np.abs(pixels(content, colour=False, background=background) - expected).max() <= 1


def test_ink_in_the_alpha_channel_is_black_on_white():
    ink = np.zeros((4, 4, 4), np.uint8)
    ink[1, 2, 3] = 255
    levels = pixels(packed(Image.fromarray(ink, "RGBA")), colour=False)[..., 0]
    assert levels[1, 2] == 0
    assert (levels == 255).sum() == 15


def palette() -> Image.Image:
    image = Image.new("P", (2, 2))
    image.putpalette([10, 20, 30, 200, 100, 50, 0, 0, 0])
    image.putdata([0, 1, 0, 1])
    return image


@pytest.mark.parametrize("transparency", [0, b"\x00\xff"])
@pytest.mark.parametrize("format", ["png", "gif"])
def test_a_transparent_colour_of_a_palette(transparency, format):
    if format == "gif" and isinstance(transparency, bytes):
        pytest.skip("a GIF has one transparent colour")
    content = packed(palette(), format, transparency=transparency)
    assert pixels(content)[0].tolist() == [[255, 255, 255], [200, 100, 50]]
    assert decode(content, PATH, colour=True, background="white").transparent


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_transparent_level_without_an_alpha_channel(mode):
    image = Image.new(mode, (2, 1), 0 if mode == "L" else (0, 0, 0))
    image.putpixel((1, 0), 90 if mode == "L" else (90, 90, 90))
    content = packed(image, transparency=0 if mode == "L" else (0, 0, 0))
    assert pixels(content, colour=False)[0, :, 0].tolist() == [255, 90]


def test_a_palette_without_transparency_and_an_opaque_alpha_change_nothing():
    assert pixels(packed(palette()))[0].tolist() == [[10, 20, 30], [200, 100, 50]]
    opaque = RANDOM.copy()
    opaque[..., 3] = 255
    content = packed(Image.fromarray(opaque, "RGBA"))
    assert np.array_equal(pixels(content), opaque[..., :3])
    assert not decode(content, PATH, colour=True, background="white").transparent


ORIENTATIONS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: a.swapaxes(0, 1)[::-1],
}


@pytest.mark.parametrize("format", ["png", "tiff", "webp"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_the_orientation_is_obeyed(format, orientation):
    stored = RANDOM[..., :3]
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = packed(Image.fromarray(stored), format, exif=exif, **({"lossless": True} if format == "webp" else {}))
    assert np.array_equal(pixels(content), ORIENTATIONS[orientation](stored))


@pytest.mark.parametrize("mode", ["1", "CMYK", "YCbCr"])
def test_other_modes_become_colours(mode):
    image = Image.fromarray(RANDOM[..., :3]).convert(mode)
    content = packed(image, "tiff")
    assert np.array_equal(pixels(content), np.array(image.convert("RGB")))
    assert np.array_equal(pixels(content, colour=False)[..., 0], np.array(image.convert("RGB").convert("L")))


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(depth: int, colour_type: int, channels: int, width: int = 2, height: int = 2) -> bytes:
    rows = b"".join(b"\0" + bytes(width * channels * depth // 8) for _ in range(height))
    head = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


DEEP = {
    "grey PNG": png(16, 0, 1),
    "colour PNG": png(16, 2, 3),
    "grey PNG with alpha": png(16, 4, 2),
    "colour PNG with alpha": png(16, 6, 4),
    "PGM": b"P5 2 1 65535\n" + bytes(4),
    "PPM": b"P6 2 1 65535\n" + bytes(12),
    "PPM of 10 bits": b"P6 2 1 1023\n" + bytes(12),
    "PPM in words": b"P3 1 1 1023\n 1 2 1000\n",
    "grey TIFF": packed(Image.fromarray(np.zeros((2, 2), np.uint16)), "tiff"),
    "floating TIFF": packed(Image.fromarray(np.zeros((2, 2), np.float32)), "tiff"),
    "whole-number TIFF": packed(Image.fromarray(np.zeros((2, 2), np.int32)), "tiff"),
}


@pytest.mark.parametrize("content", DEEP.values(), ids=DEEP)
def test_more_than_8_bits_are_refused_in_every_mode(content):
    with pytest.raises(DataError, match=r"x.png has pixels of more than 8 bits; convert it to 8 bits"):
        pixels(content)


@pytest.mark.parametrize("content", [png(8, 2, 3), png(8, 4, 2), b"P6 2 1 255\n" + bytes(6), b"P6 2 1 15\n" + bytes(6)])
def test_8_bits_and_fewer_are_read(content):
    assert pixels(content).shape[2] == 3


@pytest.mark.parametrize("format", ["gif", "png", "tiff", "webp"])
def test_the_first_of_several_frames_is_read(format):
    frames = [Image.new("L", (4, 4), level) for level in (40, 90, 200)]
    options = {"lossless": True} if format == "webp" else {}
    content = packed(frames[0].convert("RGB"), format, save_all=True, append_images=frames[1:], **options)
    picture = decode(content, PATH, colour=False, background="white")
    assert picture.animated
    assert picture.pixels.unique().tolist() == [40]
    assert not decode(packed(frames[0], format), PATH, colour=False, background="white").animated


def test_a_cameras_preview_is_no_animation():
    frames = [Image.new("RGB", (8, 8), (level, level, level)) for level in (40, 90)]
    content = packed(frames[0], "mpo", save_all=True, append_images=frames[1:])
    assert not decode(content, PATH, colour=False, background="white").animated


def test_a_large_image_is_refused_by_its_header(monkeypatch):
    def load(*_):
        raise AssertionError("pixels were read")

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", load)
    for width, height in ((9_000, 9_000), (2**26 + 1, 1)):
        head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
        with pytest.raises(DataError, match=rf"x.png has {width:,}×{height:,} pixels, and images of up to 67,108,864"):
            pixels(content)


def test_a_large_file_is_refused_before_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "x.png"
    with path.open("wb") as file:
        file.truncate(40 * 2**30)
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} was read"))
    with pytest.raises(DataError, match=r"x.png is 42,949,672,960 bytes long"):
        decoding.content_of(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"<html>", "its content is not of a format that is read"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "its content is not of a format that is read"),
        (packed(Image.fromarray(RANDOM[..., :3]), "bmp")[:70], "truncated|not enough"),
    ],
)
def test_what_cannot_be_decoded_is_named(content, reason):
    with pytest.raises(DataError, match=rf"x.png cannot be decoded \(.*({reason}).*\); replace or remove it") as caught:
        pixels(content)
    assert "object at" not in str(caught.value)


@pytest.mark.parametrize("format", ["png", "gif", "tiff", "webp", "jpeg", "bmp"])
def test_damaged_files_raise_nothing_else(format):
    random = np.random.default_rng(1)
    good = packed(Image.fromarray(RANDOM[..., :3]), format)
    for _ in range(60):
        damaged = bytearray(good)
        for place in random.integers(0, len(good), 4):
            damaged[place] = random.integers(256)
        with suppress(DataError):
            decode(bytes(damaged), PATH, colour=True, background="white")
