"""Multiplicity: p-values of several claims, adjusted so that all that are stated hold together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def holm(p_values: npt.ArrayLike, size: int | None = None) -> npt.NDArray[np.float64]:
    """Holm's (1979) adjusted p-values: rejecting where they are at most α keeps the probability of any false rejection
    within α, however the claims depend on each other.

    Args:
        p_values: of the claims tested, ``(k,)``.
        size: number of claims in the family, tested or not; k where it is not given.

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p_values, dtype=float)
    order = np.argsort(values, kind="stable")
    factors = (size or len(values)) - np.arange(len(values))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * factors), 1.0)
    return adjusted
