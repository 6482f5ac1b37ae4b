"""Decoding: the bytes of one image file as pixels in {0, …, 255}, as a viewer would show them.

- Transparency is composited (Porter & Duff 1984, "over") on a plain background: c = α f + (1 − α) b.
- The EXIF orientation is obeyed.
- Palettes, 1-bit, CMYK and YCbCr images become red, green and blue, or luma (ITU-R 601-2) of those.
- Of several frames (GIF, APNG, TIFF, WebP) the first is taken.
- Deeper pixels than 8 bits are refused in every mode: Pillow would cut them down.

Sizes are looked at before memory is taken for them. Only formats of images are tried, whatever the name of the file.
"""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from study.errors import DataError
from study.files import printable

SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".apng", ".gif", ".bmp", ".pbm", ".pgm", ".ppm", ".tif", ".tiff", ".webp")
"""Endings of the file names that are taken for images, in lower case."""

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "PPM", "TIFF", "WEBP")
"""Pillow's readers that are tried; others would start programs (EPS) or are not images of pixels."""

MAX_FILE_BYTES = 2**29
MAX_PIXELS = 2**26
"""Largest file and largest image that are read: 512 MiB, and 8,192 × 8,192 pixels."""

Background = Literal["white", "black"]
LEVELS: dict[Background, int] = {"white": 255, "black": 0}


@dataclass(frozen=True, slots=True)
class Picture:
    """One decoded image.

    pixels: uint8 ``(C, H, W)``, C = 3 in colour and 1 in grey.
    transparent: whether any pixel was not opaque.
    animated: whether the file holds further frames.
    """

    pixels: Tensor
    transparent: bool
    animated: bool


def content_of(path: Path) -> bytes:
    """The bytes of ``path``; DataError where it cannot be read or is larger than an image file may be."""
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise DataError(
                f"{printable(path)} is {size:,} bytes long, and image files of up to {MAX_FILE_BYTES:,} are read; "
                "make it smaller or remove it"
            )
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{printable(path)} cannot be read ({error.strerror}); make it readable or remove it"
        ) from error


def decode(content: bytes, path: Path, *, colour: bool, background: Background) -> Picture:
    """The image of a file.

    content: the bytes of the file.
    path: its name in messages.
    colour: red, green and blue; otherwise luma.
    background: what transparent pixels lie on.

    Raises DataError, naming the file, where the image cannot be had faithfully.
    """
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(content), formats=FORMATS) as image:
            # Pillow's remarks on odd metadata, of which nothing follows for the pixels.
            warnings.simplefilter("ignore")
            _refuse(image, path)
            return _picture(image, colour, background)
    except DataError:
        raise
    except UnidentifiedImageError as error:
        reason = "is empty" if not content else "its content is not of a format that is read"
        raise DataError(f"{printable(path)} cannot be decoded ({reason}); replace or remove it") from error
    except MemoryError as error:
        raise DataError(f"{printable(path)} cannot be decoded (out of memory); make it smaller or remove it") from error
    # Pillow's readers meet damaged files with exceptions of many types, struct.error and IndexError among them.
    except Exception as error:
        reason = printable(str(error) or type(error).__name__)
        raise DataError(f"{printable(path)} cannot be decoded ({reason}); replace or remove it") from error


def _refuse(image: Image.Image, path: Path) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise DataError(
            f"{printable(path)} has {width:,}×{height:,} pixels, and images of up to {MAX_PIXELS:,} are read; "
            "make it smaller"
        )
    if _deep(image):
        raise DataError(f"{printable(path)} has pixels of more than 8 bits; convert it to 8 bits")


def _deep(image: Image.Image) -> bool:
    """Whether a value of ``image`` has more than 8 bits: by its mode, or by the layout that Pillow would cut down.

    The layout is the first argument of Pillow's decoder, as ``RGB;16B``; ``BGR;16`` alone has 16 bits for all channels.
    For the PPM decoder the greatest value follows it.
    """
    if image.mode.startswith(("I", "F")):
        return True
    for tile in getattr(image, "tile", []):
        layout, *further = tile.args if isinstance(tile.args, tuple) else (tile.args,)
        if re.search(r"(?<!BGR);(12|16|32)", str(layout)):
            return True
        if tile.codec_name in ("ppm", "ppm_plain") and any(isinstance(value, int) and value > 255 for value in further):
            return True
    return False


def _picture(image: Image.Image, colour: bool, background: Background) -> Picture:
    # A JPEG's second frame is a camera's preview or its other eye, and no animation.
    animated = image.format != "MPO" and getattr(image, "n_frames", 1) > 1
    upright = ImageOps.exif_transpose(image)
    transparent = False
    if upright.has_transparency_data:
        upright = upright.convert("RGBA")
        transparent = upright.getchannel("A").getextrema()[0] < 255  # type: ignore[operator]
        ground = Image.new("RGBA", upright.size, (LEVELS[background],) * 3 + (255,))
        upright = Image.alpha_composite(ground, upright)
    if upright.mode not in ("1", "L"):
        upright = upright.convert("RGB")
    pixels = np.array(upright.convert("RGB" if colour else "L"))
    return Picture(torch.from_numpy(np.atleast_3d(pixels)).permute(2, 0, 1), transparent, animated)
