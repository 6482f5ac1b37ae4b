r"""Schedules: the factor on the latent term and the learning rate at each update.

KL warm-up raises the latent scale linearly from β/W to β over W epochs (Bowman et al. 2016, arXiv:1511.06349); the
cosine schedule lowers the learning rate from its start to zero at the last update (Loshchilov & Hutter 2017,
arXiv:1608.03983).
"""

from __future__ import annotations

import math
from typing import Literal


def latent_scale(update: int, *, beta: float, warmup_updates: int) -> float:
    """β at the 0-based ``update``, reached after ``warmup_updates``."""
    return beta * min(1.0, (update + 1) / warmup_updates) if warmup_updates else beta


def learning_rate(update: int, *, start: float, num_updates: int, schedule: Literal["constant", "cosine"]) -> float:
    """Learning rate at the 0-based ``update`` of ``num_updates``."""
    if schedule == "constant":
        return start
    return 0.5 * start * (1.0 + math.cos(math.pi * update / num_updates))
