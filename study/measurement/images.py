"""ImageData: a data set as tensors x ∈ [0, 1], split into training and held-out images, with what identifies its bytes.

The checksum is the SHA-256 of the listing ``sha256sum`` prints for the raw content, in a fixed order, so that it can be
reproduced from a shell. Resizing and limiting change the tensors and not the checksum.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from analysis.randomness import stream
from study.measurement.stored_images import Images, StoredImages, subset

ALIKE = 1e-4
"""Pixels that differ by less are alike: resampling rounds, and one of 256 levels is 0.004."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageData:
    """Images with their labels.

    name: of the data set.
    images, held_out_images: float32 ``(N, C, H, W)`` in [0, 1], in memory or in a file.
    labels, held_out_labels: int64 ``(N,)``, indices into ``class_names``.
    checksum: SHA-256 of the raw content, hexadecimal.
    verification: against what the raw content was checked.
    notes: sentences on what the reader of the files decided, for whoever loads them.
    """

    name: str
    images: Images
    labels: Tensor
    held_out_images: Images
    held_out_labels: Tensor
    class_names: tuple[str, ...]
    checksum: str
    verification: str
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for split, images, labels in self.splits():
            for part, kinds in ((images, (Tensor, StoredImages)), (labels, Tensor)):
                if not isinstance(part, kinds):
                    raise TypeError(f"{split} images and labels must be tensors; got {type(part).__name__}")
            if images.ndim != 4 or len(images) == 0 or images.dtype != torch.float32:
                raise ValueError(
                    f"{split} images must be float32 of shape (N, C, H, W) with N ≥ 1; "
                    f"got {images.dtype} of shape {tuple(images.shape)}"
                )
            if isinstance(images, Tensor):  # stored ones lie there by how they are read
                low, high = torch.aminmax(images)
                if not (low >= 0 and high <= 1):
                    raise ValueError(f"{split} images must lie in [0, 1]; got [{low:g}, {high:g}]")
            if labels.shape != images.shape[:1] or labels.dtype != torch.int64:
                raise ValueError(
                    f"{split} labels must be int64 of shape ({len(images)},); "
                    f"got {labels.dtype} of shape {tuple(labels.shape)}"
                )
            if not (labels.amin() >= 0 and labels.amax() < len(self.class_names)):
                raise ValueError(
                    f"{split} labels must index the {len(self.class_names)} class names; "
                    f"got {labels.amin():d} to {labels.amax():d}"
                )
        if self.held_out_images.shape[1:] != self.images.shape[1:]:
            raise ValueError(
                f"held-out images must have the training images' shape {self.image_shape}; "
                f"got {tuple(self.held_out_images.shape[1:])}"
            )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one image."""
        _, channels, height, width = self.images.shape
        return channels, height, width

    def splits(self) -> tuple[tuple[str, Images, Tensor], ...]:
        """Name, images and labels of each split."""
        return (
            ("training", self.images, self.labels),
            ("held-out", self.held_out_images, self.held_out_labels),
        )

    @property
    def alike(self) -> bool:
        """Whether no image differs from another by more than rounding, in either split."""
        first = self.images[:1]
        chunks = (chunk for _, images, _ in self.splits() for chunk in images.split(1_024))
        return all(bool(((chunk - first).abs() < ALIKE).all()) for chunk in chunks)

    def limited(self, limit: int) -> ImageData:
        """The first ``limit`` training images of one seeded order, so that a larger limit contains a smaller one."""
        if not 1 <= limit <= len(self.images):
            raise ValueError(
                f"limit must be between 1 and the {len(self.images):,} training images of {self.name}; got {limit:,}"
            )
        chosen = torch.randperm(len(self.images), generator=stream(0, "limit"))[:limit]
        chosen = chosen.to(self.images.device)
        return replace(self, images=subset(self.images, chosen), labels=self.labels[chosen])

    def to(self, device: torch.device | str) -> ImageData:
        """The same data with its four tensors on ``device``."""
        return replace(
            self,
            images=self.images.to(device),
            labels=self.labels.to(device),
            held_out_images=self.held_out_images.to(device),
            held_out_labels=self.held_out_labels.to(device),
        )


def held_out_split(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Indices of a seeded 80/20 split of at least two images, stratified by class to within one image.

    Systematic sampling (Cochran 1977, ch. 8): in a random order sorted by class, every fifth image is held out.
    """
    shuffled = torch.randperm(len(labels), generator=stream(0, "held-out split"))
    by_class = shuffled[torch.argsort(labels[shuffled], stable=True)]
    held_out = torch.zeros(len(labels), dtype=torch.bool)
    held_out[by_class[::5]] = True
    return torch.nonzero(~held_out).squeeze(1), torch.nonzero(held_out).squeeze(1)


def digest(content: bytes | memoryview) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def checksum(digests: Mapping[str, str]) -> str:
    """SHA-256 of the listing that ``sha256sum`` prints for these names and digests, in their order.

    Names are the bytes of the file system, whatever their encoding; as in that listing, a line whose name holds a
    backslash or an end of line begins with a backslash, and they are escaped.
    """
    listing = hashlib.sha256()
    for name, value in digests.items():
        escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
        mark = "\\" if escaped != name else ""
        listing.update(os.fsencode(f"{mark}{value}  {escaped}\n"))
    return listing.hexdigest()
