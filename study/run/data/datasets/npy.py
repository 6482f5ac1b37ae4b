"""Npy: images in an array file of NumPy's that may be larger than memory; it is mapped and read as it is needed.

    ROOT/images.npy         uint8 (N, C, H, W), or (N, H, W) where they are grey
    ROOT/labels.npy         whole numbers (N,), the classes; may be absent, and then nothing is judged by classes
    ROOT/test_images.npy    held-out images, of the same shape; where there are none, a fifth of each class is held out
    ROOT/test_labels.npy    their classes

Pixels are levels in {0, …, 255}. Files are named by their SHA-256, for which each is read once whenever it is opened.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, final, override

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from study.errors import DataError
from study.files import printable
from study.measurement.images import ImageData, checksum, held_out_split
from study.measurement.stored_images import StoredImages
from study.run.data.datasets._base import Dataset
from study.run.data.resizing import resized

IMAGES, LABELS, TEST_IMAGES, TEST_LABELS = "images.npy", "labels.npy", "test_images.npy", "test_labels.npy"


@final
class Npy(Dataset):
    """Images of the file images.npy in the directory given as data root, which need not fit into memory."""

    reference = "numpy.lib.format, NumPy Enhancement Proposal 1"
    mapped = True

    @override
    def look(self, root: Path) -> None:
        """DataError where ``root`` has no file of images."""
        if not (root / IMAGES).is_file():
            raise DataError(
                f"{self.name}: expected {printable(root / IMAGES)}, uint8 of shape (N, C, H, W), and there is none; "
                "give the directory that holds it as --data-root"
            )

    @override
    def read(self, root: Path, *, image_size: int | None, download: bool) -> ImageData:
        """The images of ``root``, mapped; there is nothing to download."""
        self.look(root)
        paths = [path for name in (IMAGES, LABELS, TEST_IMAGES, TEST_LABELS) if (path := root / name).is_file()]
        images, labels = _images(root / IMAGES, image_size), _labels(root / LABELS)
        if labels is None:
            labels = np.zeros(len(images), np.int64)
        _require_alike(root / LABELS, labels, images)
        if len(images) < 2:
            raise DataError(f"{self.name}: {printable(root / IMAGES)} holds fewer than two images; give at least two")
        if (root / TEST_IMAGES).is_file():
            held_out, others = _images(root / TEST_IMAGES, image_size), _labels(root / TEST_LABELS)
            if others is None:
                others = np.zeros(len(held_out), np.int64)
            _require_alike(root / TEST_LABELS, others, held_out)
            classes, index = np.unique(np.concatenate([labels, others]), return_inverse=True)
            targets, held_out_targets = torch.from_numpy(index).tensor_split([len(labels)])
        else:
            classes, index = np.unique(labels, return_inverse=True)
            every = torch.from_numpy(index)
            training, rows = held_out_split(every)
            targets, held_out_targets = every[training], every[rows]
            images, held_out = images.subset(training), images.subset(rows)
        return ImageData(
            name=self.name,
            images=images,
            labels=targets,
            held_out_images=held_out,
            held_out_labels=held_out_targets,
            class_names=tuple(map(str, classes)),
            checksum=checksum({path.name: _digest(path) for path in paths}),
            verification="structure only",
        )


def _images(path: Path, image_size: int | None) -> StoredImages:
    """The images of an array file, as squares of ``image_size`` where one is given."""
    levels = _mapped(path)
    if levels.dtype != np.uint8 or levels.ndim not in (3, 4) or 0 in levels.shape:
        raise DataError(
            f"{printable(path)} must hold levels in 0 to 255, uint8 of shape (N, C, H, W) or (N, H, W); got "
            f"{levels.dtype} of shape {levels.shape}"
        )
    channels, height, width = levels.shape[1:] if levels.ndim == 4 else (1, *levels.shape[1:])

    def read(rows: Tensor) -> Tensor:
        chosen = torch.from_numpy(np.asarray(levels[rows.numpy()]))
        return resized(chosen.reshape(-1, channels, height, width).float().div_(255), image_size)

    sides = (height, width) if image_size is None else (image_size, image_size)
    return StoredImages(read, len(levels), (channels, *sides))


def _labels(path: Path) -> npt.NDArray[np.int64] | None:
    """Classes of an array file, or None where there is none."""
    if not path.is_file():
        return None
    labels = _mapped(path)
    if not np.issubdtype(labels.dtype, np.integer) or labels.ndim != 1:
        raise DataError(
            f"{printable(path)} must hold whole numbers of shape (N,); got {labels.dtype} of shape {labels.shape}"
        )
    return np.asarray(labels, np.int64)


def _require_alike(path: Path, labels: npt.NDArray[np.int64], images: StoredImages) -> None:
    if len(labels) != len(images):
        raise DataError(f"{printable(path)} has {len(labels):,} labels for {len(images):,} images; give one for each")


def _mapped(path: Path) -> npt.NDArray[Any]:
    """The array of a file, which is not read."""
    try:
        return np.lib.format.open_memmap(path, "r")
    except (OSError, ValueError, EOFError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{printable(path)} is no whole array file of NumPy's ({reason}); write it anew") from error


def _digest(path: Path) -> str:
    """SHA-256 of a file of any size."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{printable(path)} cannot be read ({error.strerror}); make it readable") from error
