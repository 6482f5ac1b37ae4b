r"""Squared maximum mean discrepancy of two samples under any kernel, as a U-statistic with its standard error.

    MMD² = E k(x, x′) + E k(y, y′) − 2 E k(x, y)                                                  (Gretton et al. 2012)

The mean of h(i, j) = k(xᵢ,xⱼ) + k(yᵢ,yⱼ) − k(xᵢ,yⱼ) − k(xⱼ,yᵢ) over pairs i ≠ j of M rows is unbiased for it, and may
be negative where the laws agree. As a U-statistic of order two it has Var = (4(M − 2) ζ₁ + 2 ζ₂)/M(M − 1) with
ζ₁ = Var E[h | i] and ζ₂ = Var h (Hoeffding 1948). Where the laws agree ζ₁ = 0; its estimate is kept at 0 or above, so
that the error errs upward.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from analysis.estimate import Estimate
from analysis.geometry.distances import flat

MIN_ROWS = 5
PAIRS_PER_BLOCK = 2**22


def squared_mean_discrepancy(x: Tensor, y: Tensor, kernel: Callable[[Tensor, Tensor], Tensor]) -> Estimate:
    """Unbiased MMD² of equally many rows of ``x`` and ``y`` ``(M, *shape)``, streamed in blocks of rows.

    Args:
        x: independent rows of the one law, and
        y: of the other.
        kernel: values ``(m, n)`` of rows ``(m, D)`` against rows ``(n, D)``, float64.

    Raises:
        ValueError: if the samples differ in shape.
    """
    if x.shape != y.shape:
        raise ValueError(
            f"expected two samples of one shape; got {list(x.shape)} and {list(y.shape)}: draw equally many"
        )
    left, right = flat(x), flat(y)
    num = len(left)
    if num < MIN_ROWS:
        return Estimate.refused(f"a standard error of the discrepancy needs {MIN_ROWS} rows; got {num}", num)
    row_sums, squares = [], 0.0
    for rows in torch.arange(num, device=left.device).split(max(PAIRS_PER_BLOCK // num, 1)):
        pairs = kernel(left[rows], left) + kernel(right[rows], right)
        pairs -= kernel(left[rows], right) + kernel(right[rows], left)
        pairs[torch.arange(len(rows), device=rows.device), rows] = 0.0
        row_sums.append(pairs.sum(1))
        squares += float(pairs.square().sum())
    row_means = torch.cat(row_sums) / (num - 1)
    value = float(row_means.mean())
    pair_variance = squares / (num * (num - 1)) - value**2
    # E[var(row means)] = (M − 2)/(M − 1)² · ((M − 4) ζ₁ + ζ₂), solved for ζ₁.
    row_variance = (float(row_means.var()) * (num - 1) ** 2 / (num - 2) - pair_variance) / (num - 4)
    variance = (4 * (num - 2) * max(row_variance, 0.0) + 2 * pair_variance) / (num * (num - 1))
    return Estimate(value, math.sqrt(variance), num, 2 * num)
