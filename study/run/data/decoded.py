"""Decoded images: what was decoded once from many files, kept in the cache directory.

A file of the cache is named by what it was decoded from and how. It carries the SHA-256 of its tensor and its counts,
and is decoded anew where that is not right. A cache that cannot be written is done without.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from study.measurement.images import digest
from study.paths import cache_directory

VERSION = 1
"""To be raised with any change that changes decoded pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """Images of one size, with how often something was decided about them.

    pixels: ``(N, C, H, W)``: uint8 levels in {0, …, 255} as stored in the files, or resized float32 in [0, 1].
    counts: how many images were transparent, or had further frames.
    """

    pixels: Tensor
    counts: Mapping[str, int]

    def images(self, rows: Tensor) -> Tensor:
        """Images ``(n, C, H, W)`` of the indices ``rows`` ``(n,)``, float32 in [0, 1]."""
        chosen = self.pixels[rows]
        return chosen if chosen.is_floating_point() else chosen.float().div_(255)


def decoded(key: str, decode: Callable[[], Decoded]) -> Decoded:
    """Result of ``decode``, from the cache where ``key``, which stands for all that it depends on, is known."""
    path = cache_directory() / "images" / f"{digest(f'{VERSION} {key}'.encode())[:32]}.safetensors"
    images = _restore(path)
    if images is None:
        images = decode()
        _store(images, path)
    return images


def _restore(path: Path) -> Decoded | None:
    try:
        if not path.is_file():
            return None
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            pixels = file.get_tensor("pixels")
        checksum = metadata.pop("sha256", "")
        images = Decoded(pixels, {name: int(count) for name, count in metadata.items()})
    except (OSError, SafetensorError, ValueError):
        return None
    return images if checksum == _checksum(images) else None


def _store(images: Decoded, path: Path) -> None:
    metadata = {name: str(count) for name, count in images.counts.items()} | {"sha256": _checksum(images)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as aside:
            complete = Path(aside) / path.name
            save_file({"pixels": images.pixels}, complete, metadata)
            os.replace(complete, path)
    except (OSError, SafetensorError):
        return  # the images are at hand; only the next reading decodes again


def _checksum(images: Decoded) -> str:
    head = repr((sorted(images.counts.items()), tuple(images.pixels.shape), str(images.pixels.dtype)))
    return digest(
        f"{head} {digest(memoryview(images.pixels.contiguous().view(torch.uint8).numpy()).cast('B'))}".encode()
    )
