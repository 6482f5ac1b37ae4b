"""Sprite: many small images as one, in rows."""

from __future__ import annotations

import math

import numpy as np

SHOWN = 20
"""Images in a sprite."""

COLUMNS = 5
"""Images in one of its rows."""


def sprite(images: np.ndarray) -> np.ndarray:
    """The first :data:`SHOWN` images in rows of :data:`COLUMNS`.

    images: bytes ``(N, C, H, W)``, C = 1 or 3.

    Returns bytes ``(h, w, 4)``, red to blue and opacity, with clear lines a 14th of an image wide between images.
    """
    chosen = images[:SHOWN]
    number, _, height, width = chosen.shape
    rows, gap = math.ceil(number / COLUMNS), max(1, width // 14)
    tiled = np.zeros((rows * (height + gap) - gap, COLUMNS * (width + gap) - gap, 4), np.uint8)
    for index, image in enumerate(chosen):
        row, column = divmod(index, COLUMNS)
        place = np.s_[row * (height + gap) :, column * (width + gap) :]
        tiled[place][:height, :width, :3] = np.broadcast_to(image, (3, height, width)).transpose(1, 2, 0)
        tiled[place][:height, :width, 3] = 255
    return tiled
