r"""Positive numbers from unconstrained ones: floor + log(1 + exp(raw + c)), c such that raw = 0 gives floor + start.

The softplus grows linearly, so that large raw numbers cannot overflow as an exponential would; the floor keeps scales
away from zero, where densities are unbounded.
"""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn.functional import softplus


def positive(raw: Tensor, floor: float = 0.0, *, start: float = 1.0) -> Tensor:
    """Numbers above ``floor``, elementwise.

    raw: unconstrained numbers of any shape, such as outputs of a network.
    floor: at least 0; no result is smaller.
    start: above 0; what a raw number of 0 gives beyond the floor.
    """
    return softplus(raw + inverse_softplus(start)) + floor


def inverse_softplus(value: float) -> float:
    """The number whose softplus is ``value`` > 0; ValueError for any other value.

    >>> round(inverse_softplus(math.log(2)), 12)
    0.0
    """
    if value <= 0:
        raise ValueError(f"a softplus is positive and has no inverse at {value}")
    # log(exp(value) − 1), in a form that large values do not overflow.
    return value + math.log(-math.expm1(-value))
