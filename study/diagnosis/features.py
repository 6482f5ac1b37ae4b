"""Features that the caller gives, in which decoded images are compared."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from analysis.tree import Measured
from study.errors import DataError
from study.measurement.classifier import CHUNK

CALLERS = "features of the caller"


class GivenFeatures:
    """Features as a function gives them.

    Args:
        features: images ``(m, C, H, W)`` in [0, 1] to ``(m, F)``.
    """

    flag = CALLERS

    def __init__(self, features: Callable[[Tensor], Tensor]) -> None:
        self._given = features

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Features ``(M, F)``, float64, of ``images`` ``(M, C, H, W)``."""
        blocks = [self._given(chunk) for chunk in images.split(CHUNK)]
        for block, chunk in zip(blocks, images.split(CHUNK), strict=True):
            if not isinstance(block, Tensor) or block.ndim != 2 or len(block) != len(chunk):
                got = tuple(block.shape) if isinstance(block, Tensor) else type(block).__name__
                raise DataError(f"features must give ({len(chunk)}, F) for {len(chunk)} images; got {got}")
        return torch.cat(blocks).double()


def flagged(measured: Measured, flag: str) -> Measured:
    """What was ``measured`` with the ``flag`` on estimates of realism, where features are no classifier's."""
    if not flag or "realism" not in measured.tables:
        return measured
    rows = {
        row: {name: estimate.flagged(flag) for name, estimate in estimates.items()}
        for row, estimates in measured.tables["realism"].items()
    }
    return Measured(tables={**measured.tables, "realism": rows}, mixtures=measured.mixtures, records=measured.records)
