r"""Codes of diagonal normal posteriors N(μₙ, diag σ²ₙ) of N images: in memory, or encoded anew at every pass.

At D = 65,536 the codes of 60,000 images are 31 GB, while the images are 0.2 GB: a pass over such codes encodes the
images block by block and holds one block at a time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

ROW_ELEMENTS = 1 << 22
"""Numbers of each kind, μ or σ, that are selected at a time."""

Rows = tuple[Tensor, Tensor]
"""μ and σ of n images, ``(n, D)`` each, without gradient."""


class CodeSource(ABC):
    """Source of the codes of N images.

    Args:
        num: N.
        like: codes ``(n, *latent_shape)`` whose latent shape, dtype and device all the others have.
    """

    def __init__(self, num: int, like: Tensor) -> None:
        self.num = num
        self.latent_shape = like.shape[1:]
        self.latent_dim = self.latent_shape.numel()
        self.dtype = like.dtype
        self.device = like.device

    def __len__(self) -> int:
        return self.num

    @abstractmethod
    def blocks(self) -> Iterator[Rows]:
        """One pass over all N codes in order, in blocks that the source chooses."""

    @abstractmethod
    def _read(self, indices: Tensor) -> Rows:
        """The codes of a few images, int64 ``(n,)``, in that order."""

    def select(self, indices: Tensor) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Codes of the images ``indices``, int64 ``(n,)``, few at a time: (positions in ``indices``, μ, σ)."""
        step = max(1, ROW_ELEMENTS // self.latent_dim)
        for start in range(0, len(indices), step):
            rows = slice(start, start + step)
            yield rows, *self._read(indices[rows])

    def at(self, indices: Tensor) -> InMemoryCodes:
        """Codes of the images ``indices``, int64 ``(n,)``, in that order, in memory."""
        codes = torch.empty(2, len(indices), self.latent_dim, dtype=self.dtype, device=self.device)
        for rows, loc, scale in self.select(indices):
            codes[0, rows], codes[1, rows] = loc, scale
        loc, scale = codes.view(2, len(indices), *self.latent_shape)
        return InMemoryCodes(loc, scale)

    def in_memory(self) -> InMemoryCodes:
        """Codes of all N images, in memory."""
        return self.at(torch.arange(self.num, device=self.device))


class InMemoryCodes(CodeSource):
    """Codes in memory, as tensors.

    Args:
        loc: means μ, ``(N, *latent_shape)``.
        scale: standard deviations σ > 0, of the same shape, dtype and device.

    Raises:
        ValueError: if the two differ in shape, have no latent dimension or hold no image.
    """

    def __init__(self, loc: Tensor, scale: Tensor) -> None:
        if loc.ndim < 2 or loc.shape != scale.shape:
            raise ValueError(
                "loc and scale must share one shape (N, *latent_shape); "
                f"got {tuple(loc.shape)} and {tuple(scale.shape)}"
            )
        if not len(loc):
            raise ValueError("codes of at least one image are needed for at least one component; got none")
        super().__init__(len(loc), loc)
        self.loc, self.scale = loc.detach(), scale.detach()

    def blocks(self) -> Iterator[Rows]:
        """All codes as one block."""
        yield self.loc.flatten(1), self.scale.flatten(1)

    def in_memory(self) -> InMemoryCodes:
        """These codes themselves."""
        return self

    def _read(self, indices: Tensor) -> Rows:
        return self.loc.flatten(1)[indices], self.scale.flatten(1)[indices]


class StreamedCodes(CodeSource):
    """Codes that are never all in memory.

    Args:
        encode: gives μ and σ, ``(n, *latent_shape)`` each, of the images int64 ``(n,)``, in that order; always the
            same for the same image.
        num: N.
        device: of the indices that ``encode`` is called with.
        block: images of one block of a pass.

    Raises:
        ValueError: if N < 1, or, at any call, ``encode`` does not give one code for each image.
    """

    def __init__(self, encode: Callable[[Tensor], Rows], num: int, device: torch.device, block: int) -> None:
        if num < 1:
            raise ValueError(f"codes of at least one image are needed for at least one component; got {num}")
        self._encode = encode
        self._block = block
        first, _ = encode(torch.zeros(1, dtype=torch.int64, device=device))
        super().__init__(num, first)

    def blocks(self) -> Iterator[Rows]:
        """Codes encoded now, ``block`` images at a time."""
        for indices in torch.arange(self.num, device=self.device).split(self._block):
            yield self._read(indices)

    def _read(self, indices: Tensor) -> Rows:
        with torch.no_grad():
            loc, scale = self._encode(indices)
        expected = (len(indices), *self.latent_shape)
        if loc.shape != expected or scale.shape != expected:
            raise ValueError(
                f"encode must give codes {expected} of {len(indices)} images at every call; "
                f"got {tuple(loc.shape)} and {tuple(scale.shape)}"
            )
        return loc.flatten(1), scale.flatten(1)
