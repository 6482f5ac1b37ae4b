"""Arrays of a file by name, without pickle and, where the file allows it, without reading them: npz, safetensors,
netCDF, and zarr where the package zarr is installed.

Arrays of safetensors and of an npz that ``numpy.savez`` wrote lie in the file as they are, and are mapped: 8 GB of
codes take no memory. Those of ``numpy.savez_compressed`` and of the others are read, as far as they declare no more
than their files could hold: a few kilobytes of zeros, compressed, fill any memory.
"""

from __future__ import annotations

import json
import math
import os
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import numpy.typing as npt
import xarray as xr

from study.errors import DataError
from study.store.netcdf import declared_bytes

Arrays = Mapping[str, npt.NDArray[Any]]

MAX_HEADER = 2**24
"""Bytes of a header of safetensors that are read."""

MAX_UNPACKED = 2**33
"""Bytes in memory of arrays that are not mapped: 8 GiB."""

MAX_EXPANSION, SMALL = 32, 2**26
"""Times the size of their file that such arrays may take, beyond 64 MiB; floating-point numbers shrink to a half."""

_SAFETENSORS = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
}


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Every array of the file by name; its kind is told by the ending of its name.

    Args:
        path: ``.npz``, ``.safetensors``, ``.nc`` or ``.zarr``.

    Raises:
        DataError: where it is absent, of no such kind, damaged, or holds Python objects.
    """
    readers = {".npz": _npz, ".safetensors": _safetensors, ".nc": _netcdf, ".zarr": _zarr}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path.name or path} ends in none of {', '.join(readers)}; write codes as one of these")
    if not path.exists():
        raise DataError(f"{path} does not exist; name the file that holds the codes")
    if not (path.is_file() or (path.is_dir() and reader is _zarr)):  # opening a pipe would wait for ever
        raise DataError(f"{path} is no regular file; name the file that holds the codes")
    try:
        return reader(path)
    except DataError:
        raise
    # Whatever a damaged file makes a reader raise, it is the file that is at fault.
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise DataError(f"{path.name} cannot be read ({reason}); write it again") from error


def _check_unpacked(path: Path, size: int) -> None:
    """Raises DataError where arrays of ``size`` bytes would be made of what the file, or the folder, holds."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    stored = sum(file.stat().st_size for file in files)
    limit = min(MAX_UNPACKED, max(SMALL, MAX_EXPANSION * stored))
    if size > limit:
        raise DataError(
            f"{path.name} has {stored:,} bytes and would take {size:,} in memory, where {limit:,} are allowed; write "
            "codes as safetensors or with numpy.savez, which take none"
        )


def _npz(path: Path) -> dict[str, npt.NDArray[Any]]:
    with zipfile.ZipFile(path) as archive:
        packed = [member for member in archive.infolist() if member.compress_type != zipfile.ZIP_STORED]
        _check_unpacked(path, sum(member.file_size for member in packed))
        return {
            member.filename.removesuffix(".npy"): _npy(path, archive, member)
            for member in archive.infolist()
            if member.filename.endswith(".npy")
        }


def _npy(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> npt.NDArray[Any]:
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = header(file)
        if dtype.hasobject:
            raise DataError(
                f"{path.name} holds Python objects under {member.filename}, which only pickle could read; "
                "write plain arrays of numbers"
            )
        if member.compress_type != zipfile.ZIP_STORED:
            content = np.frombuffer(file.read(), dtype)
            return content.reshape(shape, order="F" if fortran else "C")
        within = file.tell()
    with path.open("rb") as raw:
        raw.seek(member.header_offset + 26)
        name, extra = struct.unpack("<HH", raw.read(4))
    offset = member.header_offset + 30 + name + extra + within
    if not math.prod(shape):
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, "r", offset, shape, "F" if fortran else "C")


def _safetensors(path: Path) -> dict[str, npt.NDArray[Any]]:
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > min(MAX_HEADER, os.path.getsize(path) - 8):
            raise DataError(f"{path.name} is no file of safetensors: its header would have {length:,} bytes")
        header = json.loads(file.read(length))
    arrays = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        if entry["dtype"] not in _SAFETENSORS:
            raise DataError(f"{path.name} holds {name} in {entry['dtype']}; write it in F32")
        shape, (begin, _) = tuple(entry["shape"]), entry["data_offsets"]
        dtype = np.dtype(_SAFETENSORS[entry["dtype"]])
        empty = not math.prod(shape)
        arrays[name] = np.empty(shape, dtype) if empty else np.memmap(path, dtype, "r", 8 + length + begin, shape)
    return arrays


def _netcdf(path: Path) -> dict[str, npt.NDArray[Any]]:
    with netCDF4.Dataset(path) as declared:
        _check_unpacked(path, declared_bytes(declared, path.name))
    with xr.open_dataset(path, engine="netcdf4") as dataset:
        return {str(name): variable.values for name, variable in dataset.data_vars.items()}


def _zarr(path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        import zarr  # noqa: PLC0415  (an optional dependency)
    except ImportError as error:
        raise DataError(f"{path.name} needs the package zarr; install it, or write the codes as npz") from error
    group = zarr.open_group(path, mode="r")
    _check_unpacked(path, sum(array.nbytes for _, array in group.arrays()))
    return {name: np.asarray(array) for name, array in group.arrays()}
