r"""Kernel distance: squared maximum mean discrepancy of features with a cubic kernel (Bińkowski et al. 2018).

    k(x, y) = (x·y/F + 1)³,    MMD² = E k(x, x′) + E k(y, y′) − 2 E k(x, y)              (arXiv:1801.01401)

It compares the first three moments of the features, and its U-statistic is unbiased at any n, which a Fréchet distance
is not: a value below 0 says that the samples cannot be told apart.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from analysis.estimate import Estimate
from analysis.geometry.distances import flat

MIN_ROWS = 5
PAIRS_PER_BLOCK = 2**22


def squared_kernel_distance(x: Tensor, y: Tensor) -> Estimate:
    """Unbiased squared kernel distance of equally many rows of features ``x`` and ``y`` [M, F].

    The U-statistic of h(i, j) = k(xᵢ,xⱼ) + k(yᵢ,yⱼ) − k(xᵢ,yⱼ) − k(xⱼ,yᵢ), streamed in blocks of rows, with the
    standard error of a U-statistic of order two: Var = (4(M − 2) ζ₁ + 2 ζ₂)/M(M − 1), ζ₁ = Var E[h | i] and ζ₂ = Var h
    (Hoeffding 1948). Where the laws agree ζ₁ = 0; its estimate is kept at 0 or above, so that the error errs upward.
    """
    if x.shape != y.shape:
        raise ValueError(f"expected features of one shape; got {list(x.shape)} and {list(y.shape)}: draw equally many")
    left, right = flat(x), flat(y)
    num = len(left)
    if num < MIN_ROWS:
        return Estimate.refused(f"a standard error of the kernel distance needs {MIN_ROWS} rows; got {num}", num)
    row_sums, squares = [], 0.0
    for rows in torch.arange(num, device=left.device).split(max(PAIRS_PER_BLOCK // num, 1)):
        pairs = _kernel(left[rows], left) + _kernel(right[rows], right)
        pairs -= _kernel(left[rows], right) + _kernel(right[rows], left)
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


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1).pow(3)
