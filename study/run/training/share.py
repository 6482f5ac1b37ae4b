"""Share: the part of each batch that one of several processes computes.

Of n processes, process r takes the r-th of n equal runs of the B images of a batch. Where the loss is a mean over
images, the mean of the gradients of the parts is the gradient of the batch.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from study.errors import ConfigurationError


class Share(NamedTuple):
    """The part of process ``rank``, from 0, of ``size`` processes; by default all of the batch."""

    rank: int = 0
    size: int = 1

    def rows(self, batch_size: int) -> slice:
        """The images of a batch of ``batch_size`` that are this process's.

        Raises ConfigurationError where they cannot be divided equally.

        >>> Share(1, 2).rows(6)
        slice(3, 6, None)
        """
        if batch_size % self.size:
            raise ConfigurationError(
                f"a batch of {batch_size} images cannot be divided equally among train.processes={self.size}; choose a "
                "multiple for train.batch_size, or for limit where there are fewer images"
            )
        own = batch_size // self.size
        return slice(self.rank * own, (self.rank + 1) * own)

    def noise(self, whole: Tensor, shape: torch.Size, batch_size: int) -> Tensor:
        """This process's part of the noise of a batch, which is all of it where it belongs to no image.

        A dimension that runs over K draws of each image runs over all images of the first draw, then of the second.

        whole: the noise, dimensions of its own before those of the batch.
        shape: the part's, in which those dimensions that run over images are shorter.
        batch_size: images of the batch.

        >>> Share(1, 2).noise(torch.arange(8), torch.Size([4]), 4)  # two draws of four images
        tensor([2, 3, 6, 7])
        """
        for dim, wanted in enumerate(shape, start=whole.dim() - len(shape)):
            if whole.shape[dim] != wanted:
                draws = whole.shape[dim] // batch_size
                parts = whole.unflatten(dim, (draws, self.size, batch_size // self.size))
                whole = parts.select(dim + 1, self.rank).flatten(dim, dim + 1)
        return whole
