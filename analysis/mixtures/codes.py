"""Latent codes as EM reads them: checked, with their mean and variance, in centred blocks of bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

import torch
from torch import Tensor

from analysis.mixtures.covariances import MixtureRefused

ELEMENTS_PER_BLOCK = 2**19  # features of a block stay in the caches
IN_MEMORY_ELEMENTS = 2**24  # of all codes together: 64 MiB of them in float32
MIN_BLOCK = 64  # below it matrix products lose their speed


def check_codes(values: Tensor, dim: int | None = None) -> None:
    """Refuses what is not a real matrix of codes.

    Args:
        values: ``(N, D)``, float32 or float64.
        dim: D, if it is known.

    Raises:
        ValueError: if ``values`` has another shape or dtype.
    """
    if values.ndim != 2 or values.dtype not in {torch.float32, torch.float64} or dim not in {None, values.shape[1]}:
        raise ValueError(
            f"expected codes (N, {dim or 'D'}) of float32 or float64, got {tuple(values.shape)} of {values.dtype}: "
            "flatten latents with z.flatten(1) and cast half precision with .float()"
        )


def centred_blocks(values: Tensor, centre: Tensor, width: int, dtype: torch.dtype) -> Iterator[Tensor]:
    """Blocks ``(D, m)`` of codes less their centre, transposed, m so that m × ``width`` stays bounded.

    Centring keeps products of codes and natural parameters free of cancellation between large means.

    Args:
        values: codes, ``(N, D)``.
        centre: ``(D,)``.
        width: numbers that will be computed from each code.
        dtype: of the blocks.
    """
    for block in values.split(max(ELEMENTS_PER_BLOCK // width, MIN_BLOCK)):
        yield (block.to(dtype) - centre.to(dtype)).T.contiguous()


class CentredCodes:
    """Codes about their mean.

    ``centre`` ``(D,)`` is the mean rounded to the codes' dtype, so that it can be subtracted in that dtype, and
    ``variance`` ``(D,)`` that about it, divisor N; both are float64.

    Args:
        values: codes, ``(N, D)``.

    Raises:
        ValueError: if the codes are no finite real matrix.
        MixtureRefused: if a dimension is constant.
    """

    def __init__(self, values: Tensor) -> None:
        check_codes(values)
        self.values = values.detach()
        self._held: dict[int, tuple[Tensor, ...]] = {}
        dim = values.shape[1]
        mean = self._average(torch.zeros(dim, dtype=torch.float64, device=values.device), power=1)
        self.centre = mean.to(values.dtype).to(torch.float64)
        self.variance = self._average(self.centre, power=2)
        if not bool(self.variance.isfinite().all()):
            raise ValueError("expected finite codes, got NaN or infinite ones: drop the images that they come from")
        num_constant = int((self.variance == 0).sum())
        if num_constant:
            raise MixtureRefused(
                f"{num_constant} of {dim} dimensions are constant over the codes, so no density exists: drop them"
            )

    def _average(self, centre: Tensor, power: int) -> Tensor:
        blocks = centred_blocks(self.values, centre, len(centre), torch.float64)
        return torch.stack([block.pow(power).sum(1) for block in blocks]).sum(0) / len(self.values)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def dim(self) -> int:
        """Latent dimensions D."""
        return self.values.shape[1]

    def blocks(self, width: int) -> Iterable[Tensor]:
        """Centred blocks ``(D, m)`` in the codes' own dtype, held where they are few: EM passes hundreds of times."""
        blocks = centred_blocks(self.values, self.centre, width, self.values.dtype)
        if self.values.numel() > IN_MEMORY_ELEMENTS:
            return blocks
        if width not in self._held:
            self._held = {width: tuple(blocks)}
        return self._held[width]

    def centred(self, index: Tensor) -> Tensor:
        """Centred codes ``(n, D)`` at ``index`` ``(n,)``, float64."""
        return self.values[index].to(torch.float64) - self.centre

    @cached_property
    def squared_norms(self) -> Tensor:
        """Σ_d z_d² / V_d of the centred codes, ``(N,)`` float64."""
        precision = self.variance.reciprocal().to(self.values.dtype)
        return torch.cat([precision @ block.square() for block in self.blocks(self.dim)]).to(torch.float64)
