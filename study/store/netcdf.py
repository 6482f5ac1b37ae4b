"""NetCDF: files of arrays in groups, taken into memory after a look at what they declare.

What such a file holds in memory may be a thousand times its size, since arrays may be compressed or never written. The
HDF5 library follows some damaged files for ever and hears no Ctrl-C meanwhile: it reads in a thread of its own, which
is not waited for without end.
"""

from __future__ import annotations

import math
import os
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import Future, wait
from functools import lru_cache
from pathlib import Path
from queue import SimpleQueue

import netCDF4
import numpy as np
import xarray as xr

from study.errors import DataError
from study.store.reading import MAX_RESULT, Corrupt, regular

MAX_EXPANSION = 32
"""Times the size of its file that the arrays of a result may take in memory: a result is stored uncompressed."""

MAX_VARIABLES = 10_000
"""Variables and groups of a result, of which a cell has some fifty."""


LEAST_SECONDS, BYTES_A_SECOND = 60.0, 2**20
"""Time that reading a file may take, and what may be read in each second beyond."""


def tree(path: Path) -> xr.DataTree:
    """A netCDF file in memory; refused where what it declares would not fit, whatever its compressed size."""
    return xr.DataTree.from_dict(groups(path))


def groups(path: Path) -> dict[str, xr.Dataset]:
    """The groups of such a file by their paths; arrays of a tree are freed later than those of its groups, for nodes
    refer to each other.

    path: of the file.

    Raises Corrupt, and DataError where reading does not end.
    """

    def read(place: Path) -> dict[str, xr.Dataset]:
        with netCDF4.Dataset(place) as dataset:
            _check_size(dataset, place, path.name)
            if (plain := _plain(dataset)) is not None:
                return plain
        with xr.open_datatree(place, engine="netcdf4", decode_times=False) as opened:
            return opened.load().to_dict()

    return _in_time(read, path)


def group_of(path: Path, name: str) -> xr.Dataset:
    """One group of such a file in memory, refused as :func:`tree` refuses.

    path: of the file.
    name: of a group without groups of its own.

    Raises Corrupt, and DataError where reading does not end.
    """

    def read(place: Path) -> xr.Dataset:
        with netCDF4.Dataset(place) as dataset:
            _check_size(dataset, place, path.name)
            if (plain := _plain_group(dataset[name])) is not None:
                return plain
        with xr.open_dataset(place, group=name, engine="netcdf4", decode_times=False) as opened:
            return opened.load()

    return _in_time(read, path)


class _Reader:
    """A thread that reads one file after another."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[Callable[[], None]] = SimpleQueue()
        threading.Thread(target=self._work, name="netCDF", daemon=True).start()

    def _work(self) -> None:
        while True:
            self._waiting.get()()

    def begun[Read](self, read: Callable[[], Read]) -> Future[Read]:
        """What ``read`` will have given."""
        done: Future[Read] = Future()

        def attempt() -> None:
            try:
                done.set_result(read())
            except BaseException as error:
                done.set_exception(error)

        self._waiting.put(attempt)
        return done


@lru_cache(maxsize=1)
def _reader(process: int) -> _Reader:
    """The reader of a process; one that was forked has none of the threads before."""
    return _Reader()


def _in_time[Read](read: Callable[[Path], Read], path: Path) -> Read:
    """What ``read`` gives of the file at ``path``; a reader that does not come to an end is left to itself."""
    with regular(path, MAX_RESULT) as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seconds = LEAST_SECONDS + place.stat().st_size / BYTES_A_SECOND
        done = _reader(os.getpid()).begun(lambda: read(place))
        try:
            wait([done], seconds)
        finally:
            if not done.done():
                _reader.cache_clear()  # the next file has a reader of its own
        if done.done():
            return done.result()
    raise DataError(
        f"{path} was not read to its end in {seconds:.0f} s: it is damaged, or its disk does not answer; move "
        f"{path.parent} away"
    )


def _check_size(dataset: netCDF4.Dataset, path: Path, name: str) -> None:
    """Raises Corrupt where what a file at ``path``, which messages call ``name``, declares is too large."""
    limit = min(MAX_RESULT, MAX_EXPANSION * path.stat().st_size)
    if declared_bytes(dataset, name) > limit:
        raise Corrupt(f"{name} declares arrays of more than {limit:,} bytes")


def _plain(dataset: netCDF4.Dataset) -> dict[str, xr.Dataset] | None:
    """The groups of a file by path; None where one of them has what xarray decodes, or groups of its own.

    Arrays of numbers and texts that are stored as they are need no decoding, and what xarray's general way spends on
    it for some hundred arrays is most of the time of reading a cell.
    """
    if any(group.groups for group in dataset.groups.values()):
        return None
    read = {f"/{name}": _plain_group(group) for name, group in {"": dataset, **dataset.groups}.items()}
    found = {path: group for path, group in read.items() if group is not None}
    return found if len(found) == len(read) else None


def _plain_group(group: netCDF4.Dataset) -> xr.Dataset | None:
    attributes = {name: group.getncattr(name) for name in group.ncattrs()}
    if "coordinates" in attributes:
        return None
    variables, coordinates = {}, set(group.dimensions)
    for name, variable in group.variables.items():
        marks = {mark: variable.getncattr(mark) for mark in variable.ncattrs()}
        named, fill = marks.pop("coordinates", ""), marks.pop("_FillValue", math.nan)
        text = variable.dtype is str
        number = isinstance(variable.datatype, np.dtype) and variable.datatype.kind in "fiu" and variable.dtype.isnative
        if marks or not (text or number) or fill == fill or not isinstance(named, str):  # noqa: PLR0124  (NaN alone)
            return None
        coordinates.update(named.split())
        variable.set_auto_maskandscale(False)
        values = variable[...]
        variables[name] = variable.dimensions, np.asarray(values, str if text else None)
    named_ones = {name: value for name, value in variables.items() if name in coordinates}
    others = {name: value for name, value in variables.items() if name not in coordinates}
    return xr.Dataset(others, named_ones, attributes)


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
