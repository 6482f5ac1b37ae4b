"""Resizing: images as squares of a size that was asked for, where memory has room for them."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional as F

from study.design.memory import available_memory
from study.errors import DataError


def resized(images: Tensor, image_size: int | None) -> Tensor:
    """Images as squares, ``(N, C, S, S)``.

    The shorter side is resampled to S (bilinear, antialiased) and the centre of the longer one kept.

    images: ``(N, C, H, W)``.
    image_size: S in pixels; None leaves the images as they are.

    Raises DataError where the result is larger than memory.
    """
    if image_size is None or images.shape[-2:] == (image_size, image_size):
        return images
    sides = images.shape[-2:]
    height, width = (round(side * image_size / min(sides)) for side in sides)
    require_memory(len(images), (images.shape[1], height, width))
    top, left = (height - image_size) // 2, (width - image_size) // 2
    scaled = F.interpolate(images, size=(height, width), mode="bilinear", antialias=True)
    # The filter's weights sum to one only up to rounding.
    return scaled[..., top : top + image_size, left : left + image_size].clamp(0, 1)


def require_memory(num: int, shape: tuple[int, ...], value_bytes: float = 4) -> None:
    """Raises DataError where images need more memory than there is, before any of it is taken.

    num: how many.
    shape: of one image.
    value_bytes: bytes per value.
    """
    need, there = num * math.prod(shape) * value_bytes, available_memory()
    if need > there:
        size = "×".join(map(str, shape))
        raise DataError(
            f"{num:,} images of {size} need {need / 1e9:,.1f} GB of memory, where {there / 1e9:,.1f} GB can be had; "
            "choose a smaller image_size or fewer images"
        )
