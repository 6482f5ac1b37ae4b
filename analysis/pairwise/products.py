r"""Products: the log-sum of float32 codes on a GPU, from the expanded square as products of float64 matrices.

    Q_mn = Σ_d z²_md σ⁻²_nd − 2 Σ_d z_md μ_nd σ⁻²_nd + Σ_d μ²_nd σ⁻²_nd

Data-centre GPUs multiply matrices of float64 as fast as those of float32, so that the expansion costs what the
differences would in float32. Its cancellation is bounded: a sum of k products errs by at most k·u times the sum of
their magnitudes (Higham 2002, Accuracy and Stability of Numerical Algorithms, section 3.1), here 2D products, whose
magnitudes sum to at most twice those of the squares. Blocks where the bound on Q/2 exceeds ``LOSS`` nats are left to
the differences.
"""

from __future__ import annotations

import math
from typing import final, override

import torch
from torch import Tensor

from analysis.pairwise._base import RunningSum
from analysis.pairwise.differences import Differences

FACTOR_ELEMENTS = 1 << 26
"""Numbers of a factor of a product: 512 MiB."""

LOSS = 1e-5
"""Nats that rounding may cost a log-density at most."""


@final
class Products(RunningSum):
    """Running log-sum of the expanded square, as products of float64 matrices."""

    def __init__(self, points: Tensor) -> None:
        self.points = points
        self.total = torch.full((len(points),), -math.inf, dtype=torch.float64, device=points.device)

    @override
    def add(self, loc: Tensor, scale: Tensor, excluded: Tensor) -> None:
        dims = loc.shape[1]
        size = max(1, FACTOR_ELEMENTS // dims)
        index = torch.arange(len(loc), device=loc.device)
        for rows in index.split(size):
            precision, mean = scale[rows].double().square().reciprocal(), loc[rows].double()
            weighted = mean * precision
            squares = (mean * weighted).sum(1)
            constant = squares - precision.log().sum(1) + dims * math.log(2 * math.pi)
            step = max(1, min(size, FACTOR_ELEMENTS // len(rows)))
            parts = zip(self.points.split(step), excluded.split(step), self.total.split(step), strict=True)
            for part, exclude, total in parts:
                z = part.double()
                quadratic = z.square() @ precision.T
                magnitude = 2 * float(quadratic.max() + squares.max())
                if dims * torch.finfo(torch.float64).eps * magnitude <= LOSS:
                    quadratic.addmm_(z, weighted.T, alpha=-2).add_(constant)
                    quadratic.masked_fill_(exclude[:, None] == rows, math.inf)
                    logs = quadratic.mul_(-0.5).logsumexp(-1)
                else:
                    differences = Differences(part)
                    differences.add(loc[rows], scale[rows], exclude - int(rows[0]))
                    logs = differences.result()
                total.copy_(torch.logaddexp(total, logs))

    @override
    def result(self) -> Tensor:
        return self.total
