"""Packed bits: binary images in a temporary file, eight pixels to a byte, where memory has no room for them.

The file has no name and ends with the images that are read from it, or with the process, however that ends.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from study.errors import EnvironmentFault
from study.measurement.stored_images import StoredImages
from study.paths import usable_cache


def packed(chunks: Iterable[Tensor], num: int, image_shape: tuple[int, ...], device: torch.device) -> StoredImages:
    """Binary images, kept in a file.

    chunks: all of them in their order, bool ``(n, *image_shape)``.
    num: N.
    image_shape: (C, H, W).
    device: on which they are wanted.

    Raises EnvironmentFault where the cache folder has no room for them.
    """
    pixels = math.prod(image_shape)
    width = math.ceil(pixels / 8)
    folder = usable_cache()
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.truncate(num * width)
            if hasattr(os, "posix_fallocate"):  # macOS has none; a write to a mapped file that finds no room kills
                os.posix_fallocate(file.fileno(), 0, num * width)
            bits = np.memmap(file, np.uint8, "r+", shape=(num, width))
    except OSError as error:
        raise EnvironmentFault(
            f"{num * width / 1e9:.1f} GB of binarised images cannot be written in {folder} "
            f"({error.strerror or error}); set LATENT_STUDY_CACHE to a folder with more room"
        ) from error
    start = 0
    for chunk in chunks:
        bits[start : start + len(chunk)] = np.packbits(chunk.flatten(1).cpu().numpy(), axis=1)
        start += len(chunk)

    def read(rows: Tensor) -> Tensor:
        binary = np.unpackbits(bits[rows.numpy()], axis=1, count=pixels)
        return torch.from_numpy(binary).reshape(-1, *image_shape).float()

    return StoredImages(read, num, image_shape, device)
