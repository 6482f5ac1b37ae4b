r"""Distances between draws and bubble centres, streamed over all N components.

‖a − b‖² = ‖a‖² − 2a·b + ‖b‖², weighted by 1/σ² for Mahalanobis distances, is a matrix product. In float64 its
cancellation costs about 10⁻¹⁶·‖a‖² (10⁻¹⁰ at D = 65,536), so blocks serve sums and comparisons, while a distance that
is reported is recomputed from its difference, which is exact for coinciding points.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

PAIRS_PER_BLOCK = 2**22
ELEMENTS_PER_BLOCK = 2**20  # of centres: temporaries that a cache holds


def flat(latents: Tensor) -> Tensor:
    """Latents ``(M, *latent)`` as float64 rows ``(M, D)``, detached."""
    return latents.detach().flatten(1).to(torch.float64)


def squared_distance_blocks(points: Tensor, loc: Tensor, scale: Tensor | None = None) -> Iterator[tuple[slice, Tensor]]:
    """Blocks of the N × M matrix of squared distances: the slice of components and its rows ``(B, M)``.

    Args:
        points: float64 ``(M, D)``.
        loc: centres, ``(N, *latent)``.
        scale: their standard deviations, of the same shape, for Mahalanobis distances; without them Euclidean ones.
    """
    squares = points.square()
    square_norms = squares.sum(1)
    size = max(min(PAIRS_PER_BLOCK // len(points), ELEMENTS_PER_BLOCK // points.shape[1]), 1)
    for start in range(0, len(loc), size):
        block = slice(start, min(start + size, len(loc)))
        centres = weighted = flat(loc[block])
        norms = square_norms
        if scale is not None:
            precision = flat(scale[block]).reciprocal().square()
            weighted, norms = centres * precision, precision @ squares.T
        offset = (weighted * centres).sum(1, keepdim=True)
        yield block, torch.addmm(norms + offset, weighted, points.T, alpha=-2)


def nearest(points: Tensor, loc: Tensor, num: int = 1, exclude: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Distances and indices, both ``(M, num)`` and ascending, of the nearest centres.

    Args:
        points: ``(M, *latent)``.
        loc: centres, ``(N, *latent)``.
        num: neighbours of each point.
        exclude: int64 ``(M,)``, for each point a component that does not count, such as the point itself.
    """
    rows = flat(points)
    best = torch.full((num, len(rows)), torch.inf, dtype=torch.float64, device=rows.device)
    index = torch.zeros((num, len(rows)), dtype=torch.long, device=rows.device)
    for block, squared in squared_distance_blocks(rows, loc):
        component = torch.arange(block.start, block.stop, device=rows.device)[:, None]
        if exclude is not None:
            squared.masked_fill_(component == exclude, torch.inf)
        best, order = torch.cat([best, squared]).topk(num, dim=0, largest=False)
        index = torch.cat([index, component.expand_as(squared)]).gather(0, order)
    distance = torch.stack([(rows - flat(loc[neighbour])).norm(dim=1) for neighbour in index], 1)
    distance, order = distance.sort(1)
    return distance, index.T.gather(1, order)
