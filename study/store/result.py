"""Result: what a finished cell leaves to be stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr


@dataclass(frozen=True, slots=True)
class CellResult:
    """A cell as it is stored.

    tree: every estimate and record, see :mod:`analysis.tree`.
    weights: parameters and buffers of every replicate, by ``replicate/name``.
    details: JSON values that the cell's own run reports, timings for one.
    """

    tree: xr.DataTree
    weights: dict[str, np.ndarray]
    details: dict[str, Any]
