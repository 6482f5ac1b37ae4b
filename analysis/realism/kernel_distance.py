r"""Kernel distance: squared maximum mean discrepancy of features with a cubic kernel (Bińkowski et al. 2018).

    k(x, y) = (x·y/F + 1)³,    MMD² = E k(x, x′) + E k(y, y′) − 2 E k(x, y)              (arXiv:1801.01401)

It compares the first three moments of the features, and its U-statistic is unbiased at any n, which a Fréchet distance
is not: a value below 0 says that the samples cannot be told apart.
"""

from __future__ import annotations

from torch import Tensor

from analysis.estimate import Estimate
from analysis.mean_discrepancy import squared_mean_discrepancy


def squared_kernel_distance(x: Tensor, y: Tensor) -> Estimate:
    """Unbiased squared kernel distance of features; see :mod:`analysis.mean_discrepancy` for its standard error.

    Args:
        x: features of one sample, ``(M, F)``, rows independent.
        y: features of the other, of the same shape.

    Raises:
        ValueError: if the features differ in shape.
    """
    return squared_mean_discrepancy(x, y, lambda left, right: (left @ right.T / left.shape[1] + 1).pow(3))
