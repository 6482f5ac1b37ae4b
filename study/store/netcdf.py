"""NetCDF: files of arrays in groups, taken into memory after a look at what they declare.

What such a file holds in memory may be a thousand times its size, since arrays may be compressed or never written.
"""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import netCDF4
import xarray as xr

from study.store.reading import MAX_RESULT, Corrupt, regular

MAX_EXPANSION = 32
"""Times the size of its file that the arrays of a result may take in memory: a result is stored uncompressed."""

MAX_VARIABLES = 10_000
"""Variables and groups of a result, of which a cell has some fifty."""


def tree(path: Path) -> xr.DataTree:
    """A netCDF file in memory; refused where what it declares would not fit, whatever its compressed size."""
    with regular(path, MAX_RESULT) as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with netCDF4.Dataset(place) as dataset:
            limit = min(MAX_RESULT, MAX_EXPANSION * place.stat().st_size)
            if declared_bytes(dataset, path.name) > limit:
                raise Corrupt(f"{path.name} declares arrays of more than {limit:,} bytes")
        with xr.open_datatree(place, engine="netcdf4", decode_times=False) as opened:
            return opened.load()


def declared_bytes(dataset: netCDF4.Dataset, name: str) -> int:
    """Bytes in memory of all arrays that a netCDF file declares; raises :class:`Corrupt` where they are too many.

    dataset: an open file, of which this reads no array.
    name: what a message calls it.
    """
    groups, variables, size = [dataset], 0, 0
    while groups:
        group = groups.pop()
        groups += group.groups.values()
        variables += 1 + len(group.variables)
        if variables + len(groups) > MAX_VARIABLES:
            raise Corrupt(f"{name} declares more than {MAX_VARIABLES:,} variables")
        for variable in group.variables.values():
            # Strings of variable length are pointers, of which each text has one.
            size += math.prod(variable.shape) * getattr(variable.dtype, "itemsize", 64)
    return size
