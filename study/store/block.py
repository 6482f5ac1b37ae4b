"""Block: a group of a result as bytes from which single arrays are read without decoding the others.

    a line of JSON                         dimensions, types and texts, and where each array begins
    arrays, little-endian                  numbers as they are, texts as their numbers in a list of distinct texts

What is read is what was written, type for type. A block is no format for exchange: it is believed only where its hash
is (:mod:`study.store.extract`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import xarray as xr

Array = npt.NDArray[Any]

ALIGNMENT = 8
"""Bytes of which the beginning of each array is a multiple."""


class Field(NamedTuple):
    """An array of a block.

    dims: names of its dimensions.
    shape: its lengths along them.
    dtype: of the array that is read, ``O`` for texts that are objects.
    stored: type of the numbers that are stored.
    start: the first of its bytes.
    texts: the distinct ones, where it holds texts.
    is_coordinate: whether it labels others.
    """

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    stored: str
    start: int
    texts: list[str] | None
    is_coordinate: bool


def encoded(group: xr.Dataset) -> bytes | None:
    """A group as bytes; None where a block cannot hold it, as with attributes that are no texts.

    group: of a result.
    """
    if not all(isinstance(value, str) for value in group.attrs.values()):
        return None
    fields: dict[str, Field] = {}
    parts, size = [], 0
    for name, variable in group.variables.items():
        if variable.attrs or variable.dtype.kind not in "fiubUO":
            return None
        values, texts = np.asarray(variable.values), None
        if values.dtype.kind in "UO":
            if not all(isinstance(text, str) for text in values.flat):
                return None
            texts = list(dict.fromkeys(map(str, values.flat)))
            places = {text: number for number, text in enumerate(texts)}
            numbers = [places[str(text)] for text in values.flat]
            numeric = np.array(numbers, np.min_scalar_type(len(texts))).reshape(values.shape)
        else:
            numeric = values
        numeric = np.ascontiguousarray(numeric, numeric.dtype.newbyteorder("<"))
        dims = tuple(map(str, variable.dims))
        is_coordinate = name in group.coords
        fields[str(name)] = Field(dims, values.shape, values.dtype.str, numeric.dtype.str, size, texts, is_coordinate)
        parts.append(numeric.tobytes() + bytes(-numeric.nbytes % ALIGNMENT))
        size += len(parts[-1])
    line = json.dumps({"fields": fields, "attributes": group.attrs}, separators=(",", ":")).encode()
    return line + b"\n" + b"".join(parts)


class Block:
    """A block that is read.

    content: its bytes, as :func:`encoded` made them.
    """

    def __init__(self, content: bytes) -> None:
        line, _, self._arrays = content.partition(b"\n")
        self._fields, self._attributes = _layout(line)

    def variables(self) -> list[str]:
        """Names of the arrays that label no others."""
        return [name for name, field in self._fields.items() if not field.is_coordinate]

    def values(self, name: str) -> tuple[tuple[str, ...], Array]:
        """The dimensions and the values of an array, texts as objects; raises KeyError where there is none.

        name: of the array.
        """
        field = self._fields[name]
        number = math.prod(field.shape)
        stored = np.frombuffer(self._arrays, field.stored, number, field.start) if number else np.empty(0, field.stored)
        values = stored.reshape(field.shape)
        if field.texts is not None:
            values = np.asarray(np.array(field.texts, object)[values], object) if number else values.astype(object)
        return field.dims, values

    def dataset(self) -> xr.Dataset:
        """The group as it was."""
        coordinates: dict[str, Any] = {}
        variables: dict[str, Any] = {}
        for name, field in self._fields.items():
            dims, values = self.values(name)
            typed = values if field.texts is None else values.astype(field.dtype)
            (coordinates if field.is_coordinate else variables)[name] = dims, typed
        return xr.Dataset(variables, coordinates, self._attributes)


@lru_cache(maxsize=256)
def _layout(line: bytes) -> tuple[Mapping[str, Field], Mapping[str, str]]:
    """Fields and attributes that a first line declares; those of cells that were measured alike are alike."""
    declared = json.loads(line)
    fields = {
        name: Field(tuple(dims), tuple(shape), *rest) for name, (dims, shape, *rest) in declared["fields"].items()
    }
    return fields, declared["attributes"]
