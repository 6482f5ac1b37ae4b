r"""Products: the log-sum of float32 codes on a GPU, from the expanded square as products of float64 matrices.

    Q_mn = Σ_d z²_md σ⁻²_nd − 2 Σ_d z_md μ_nd σ⁻²_nd + Σ_d μ²_nd σ⁻²_nd

Data-centre GPUs multiply matrices of float64 as fast as those of float32, so that the expansion costs what the
differences would in float32. Its cancellation is bounded: a sum of k products errs by at most k·u times the sum of
their magnitudes, u = 2⁻⁵³ (Higham 2002, Accuracy and Stability of Numerical Algorithms, section 3.1). Taken over
panels of ``DEPTH`` dimensions whose sums are then added, it errs by (DEPTH + D/DEPTH)·u times them (section 4.2), which
at D = 65,536 is a sixtieth. The magnitudes of all three sums come to at most twice those of the two of squares. Blocks
where the bound on Q/2 exceeds ``LOSS`` nats are left to the differences.
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

DEPTH = 1024
"""Dimensions of a panel: enough to keep a GPU busy, and few enough for a small bound."""

LOSS = 1e-5
"""Nats that rounding may cost a log-density at most."""

_UNIT = torch.finfo(torch.float64).eps / 2
_OTHERS = 8  # roundings of the factors, before, and of what is made of the three sums, after


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
                quadratic = _product(z.square(), precision)
                if rounding(dims) * float(quadratic.max() + squares.max()) <= LOSS:
                    quadratic.sub_(_product(z, weighted), alpha=2).add_(constant)
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


def rounding(dims: int) -> float:
    """Error of Q/2 at most, over the sum of the squares: half the roundings of a sum, on magnitudes of twice the sum.

    dims: D.
    """
    return (min(DEPTH, dims) + math.ceil(dims / DEPTH) + _OTHERS) * _UNIT


def _product(left: Tensor, right: Tensor) -> Tensor:
    """``left @ right.T`` of ``(m, D)`` and ``(n, D)``, the sum of its panels."""
    total = left.new_zeros(len(left), len(right))
    for a, b in zip(left.split(DEPTH, 1), right.split(DEPTH, 1), strict=True):
        total += a @ b.T
    return total
