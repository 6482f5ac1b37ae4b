r"""Log-density of N(0, I_D): log N(z; 0, I) = −½ |z|² − (D/2) log 2π."""

from __future__ import annotations

import math

from torch import Tensor

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
"""½ log 2π, in nats: what one dimension adds to the normaliser of a normal."""


def log_standard_normal(z: Tensor) -> Tensor:
    """Log N(z; 0, I) in nats, ``(…,)``, of vectors ``z`` ``(…, D)``."""
    return -(0.5 * z.square() + HALF_LOG_2PI).sum(-1)
