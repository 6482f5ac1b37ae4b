"""Idx files: MNIST's file format (LeCun, Cortes & Burges), and where people keep such files.

An idx file is a big-endian header (two zero bytes, the type 0x08 = uint8, the number of dimensions; then each size)
followed by the values. The header and the length are looked at before the values are read.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path

from study.errors import DataError
from study.files import printable

SIDE = 28
FILES = {
    "train-images-idx3-ubyte": 3,
    "train-labels-idx1-ubyte": 1,
    "t10k-images-idx3-ubyte": 3,
    "t10k-labels-idx1-ubyte": 1,
}
"""Number of dimensions of each raw file, in the order of the checksum."""

MAX_BYTES = 2**30
"""Largest file that is read: 1 GiB, which is 1.4 million images."""


def read_idx(path: Path) -> tuple[int, bytes]:
    """Number of items and content of the idx file ``path``, named in ``FILES``; DataError if its structure is wrong."""
    dims = FILES[path.name]
    header = 4 * (1 + dims)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(header)
    except OSError as error:
        raise _unreadable(path, error) from error
    count = _count(path, start, size, dims)
    content = read_all(path)
    if len(content) != size or not content.startswith(start):
        raise DataError(f"{printable(path)} changed while it was read; run again once it rests")
    return count, content


def read_all(path: Path) -> bytes:
    """The bytes of ``path``; DataError where they cannot be read or are too many."""
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise DataError(
                f"{printable(path)} is {size:,} bytes long, where at most {MAX_BYTES:,} are read; replace it"
            )
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError(f"{printable(path)} cannot be read ({error.strerror}); make it readable")


def _count(path: Path, start: bytes, size: int, dims: int) -> int:
    """Number of items of an idx file of ``size`` bytes whose header ``start`` is right."""
    if len(start) < 4 * (1 + dims):
        fault = f"is {size:,} bytes long, shorter than the header of an idx file"
    else:
        magic, count, *sides = struct.unpack(f">{1 + dims}I", start)
        expected = len(start) + count * math.prod(sides)
        if magic != 0x0800 + dims:
            fault = f"begins with 0x{magic:08x}, where 0x{0x0800 + dims:08x} is expected"
        elif any(side != SIDE for side in sides):
            fault = f"has images of {'×'.join(map(str, sides))} pixels, where {SIDE}×{SIDE} are expected"
        elif size != expected:
            fault = f"is {size:,} bytes long, where its header promises {expected:,}"
        elif count == 0:
            fault = "holds no items"
        else:
            return int(count)
    raise DataError(f"{printable(path)} is corrupt: it {fault}; delete it and fetch it again")


def advice(root: Path, source: str, missing: list[str]) -> str:
    """Advice where the ``missing`` files of the data set in ``root/source/raw`` lie near, or ``""``."""
    raw = root / source / "raw"
    # --data-root one or two levels too deep, or one too high.
    above = [root.parent, root.parent.parent]
    for other in [*above, *(path.parent.parent for path in sorted(root.glob(f"*/{source}/raw")))]:
        if all((other / source / "raw" / name).is_file() for name in FILES):
            return f"the files lie in {printable(other / source / 'raw')}: give {printable(other)} as --data-root"
    places = [raw, root / source, root / "raw", root]
    for name in missing:
        for place in places:
            for near in sorted(path for path in place.glob("*") if _stem(path.name) == _stem(name)):
                if near == raw / name:
                    if any(near.glob("*")):
                        return f"{printable(near)} is a folder: move the file that it holds to its place"
                elif near.suffix == ".gz":
                    return (
                        f"{printable(near)} is there, which is not the published archive in its place: "
                        f"unpack it to {printable(raw / name)}"
                    )
                else:
                    return f"{printable(near)} is there: rename or move it to {printable(raw / name)}"
    return ""


def _stem(name: str) -> str:
    """A file name without what archives and sites change in it: case, full stops, ``.gz``."""
    return name.lower().removesuffix(".gz").replace(".", "-").replace("_", "-")
