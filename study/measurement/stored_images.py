"""Stored images: a data set of which only those images are in memory that are asked for.

They stand in the place of a tensor x ``(N, C, H, W)`` of values in [0, 1] wherever images are taken by rows or chunk by
chunk, and give the same numbers: ``images[rows]``, ``images.split(size)``, ``len(images)``, ``images.to(device)``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import final

import torch
from torch import Tensor


@final
class StoredImages:
    """Images ``(N, *image_shape)``, float32 in [0, 1], read when they are asked for.

    read: gives the images ``(n, *image_shape)``, float32 in [0, 1] on the CPU, of rows int64 ``(n,)``.
    num: N.
    image_shape: (C, H, W).
    device: on which they are wanted.
    """

    dtype = torch.float32
    ndim = 4

    def __init__(
        self,
        read: Callable[[Tensor], Tensor],
        num: int,
        image_shape: tuple[int, ...],
        device: torch.device | str = "cpu",
    ) -> None:
        self._read = read
        self.shape = torch.Size((num, *image_shape))
        self.device = torch.device(device)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Tensor | slice) -> Tensor:
        """The images of int64 rows ``(n,)``, in their order, or of a slice."""
        if isinstance(rows, slice):
            rows = torch.arange(len(self))[rows]
        return self._read(rows.cpu()).to(self.device)

    def split(self, size: int) -> Iterator[Tensor]:
        """All images in their order, ``size`` at a time."""
        for start in range(0, len(self), size):
            yield self[start : start + size]

    def subset(self, rows: Tensor) -> StoredImages:
        """The images of int64 rows ``(n,)``, not read yet."""
        rows = rows.cpu()
        return StoredImages(lambda chosen: self._read(rows[chosen]), len(rows), self.shape[1:], self.device)

    def map(self, function: Callable[[Tensor], Tensor]) -> StoredImages:
        """What ``function`` makes of the images ``(n, C, H, W)``, image by image and of the same shape."""
        return StoredImages(lambda rows: function(self._read(rows)), len(self), self.shape[1:], self.device)

    def to(self, device: torch.device | str) -> StoredImages:
        """The same images, wanted on ``device``."""
        return StoredImages(self._read, len(self), self.shape[1:], device)


type Images = Tensor | StoredImages
"""Images ``(N, C, H, W)`` in memory or in a file."""


def subset(images: Images, rows: Tensor) -> Images:
    """The ``images`` of int64 ``rows`` ``(n,)``; of stored ones, not read yet."""
    return images.subset(rows) if isinstance(images, StoredImages) else images[rows]
