"""Differences: the log-sum in float64 from the differences themselves, as tiles; what the others are held to."""

from __future__ import annotations

import math
from typing import final, override

import torch
from torch import Tensor

from analysis.pairwise._base import RunningSum

TILE_ELEMENTS = 1 << 22


@final
class Differences(RunningSum):
    """Running log-sum as tiles of float64 tensors, ``TILE_ELEMENTS`` at a time."""

    def __init__(self, points: Tensor) -> None:
        self.points = points
        self.total = torch.full((len(points),), -math.inf, dtype=torch.float64, device=points.device)

    @override
    def add(self, loc: Tensor, scale: Tensor, excluded: Tensor) -> None:
        dims, depth, queries = loc.shape[1], min(256, loc.shape[1]), min(128, len(self.points))
        components = max(1, TILE_ELEMENTS // max(queries * depth, dims))
        index = torch.arange(len(loc), device=loc.device)
        for rows in index.split(components):
            inverse = scale[rows].double().reciprocal()
            shift = -loc[rows].double() * inverse
            constant = inverse.log().sum(-1) - 0.5 * dims * math.log(2 * math.pi)
            parts = zip(self.points.split(queries), excluded.split(queries), self.total.split(queries), strict=True)
            for points, exclude, total in parts:
                logs = constant.repeat(len(points), 1)
                for z, a, b in zip(*(t.split(depth, 1) for t in (points, inverse, shift)), strict=True):
                    logs -= 0.5 * torch.linalg.vector_norm(torch.addcmul(b, z.double()[:, None], a), dim=-1).square()
                logs.masked_fill_(exclude[:, None] == rows, -math.inf)
                total.copy_(torch.logaddexp(total, logs.logsumexp(-1)))

    @override
    def result(self) -> Tensor:
        return self.total
