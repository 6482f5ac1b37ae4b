"""Triangular systems: L⁻¹ v for one lower triangular L per element of a batch, and many vectors of each."""

from __future__ import annotations

import torch
from torch import Tensor


def solve_lower(factor: Tensor, vectors: Tensor) -> Tensor:
    """L⁻¹ v, of the shape of ``vectors``.

    factor: lower triangular L, ``(*batch, K, K)``.
    vectors: v, ``(…, *batch, K)``.
    """
    # Vectors are columns of one right-hand side per element, so that L is never repeated for them.
    columns = vectors.reshape(-1, *factor.shape[:-1]).movedim(0, -1)
    solved = torch.linalg.solve_triangular(factor, columns, upper=False)
    return solved.movedim(-1, 0).reshape(vectors.shape)
