"""Result: what a finished cell leaves to be stored."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
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


def agree(first: xr.DataTree, second: xr.DataTree) -> bool:
    """Whether two trees are of one result: all groups of one of them are in the other, and the same there.

    Files may differ in how they are compressed, and an export may have left pictures and single draws behind.

    first: one of them.
    second: the other.
    """
    one, other = first.children, second.children
    common = one.keys() & other.keys()
    return common in (one.keys(), other.keys()) and all(one[name].identical(other[name]) for name in common)


def write_result(result: CellResult, tree: Path, weights: Path) -> None:
    """Writes the files of a ``result``: netCDF to ``tree``, safetensors to ``weights``; raises OSError."""
    try:
        result.tree.to_netcdf(tree, engine="netcdf4")
    except RuntimeError as error:  # as the netCDF library says that a disk is full
        raise OSError(errno.EIO, f"the netCDF library reports: {error}") from error
    safetensors.numpy.save_file({name: np.ascontiguousarray(array) for name, array in result.weights.items()}, weights)
