"""Archive: a result as one zipped Zarr store (format 3, metadata consolidated), of which xarray opens single variables.

    xr.open_datatree("zip::s3://…/result-….zarr.zip", engine="zarr")

Arrays are stored as they are, each in one chunk, and entries of the archive too: nothing that is read can be larger
than the archive says, and no codec runs but the one that gives bytes their type. What asks for another is refused
before anything of it is read, object codecs and with them pickles included. Equal results give equal bytes.
"""

from __future__ import annotations

import json
import math
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from study.errors import EnvironmentFault
from study.store.netcdf import MAX_VARIABLES
from study.store.reading import MAX_RESULT, Corrupt, reading, regular

try:
    import zarr
    from zarr.storage import MemoryStore
except ImportError as missing:
    raise EnvironmentFault(
        "results at a URL need Zarr, which is not installed; `pip install latent-study[objects]`"
    ) from missing

METADATA = "zarr.json"

MAX_METADATA = 2**24
"""Bytes of the metadata of all arrays: 16 MiB; a cell of a hundred arrays has 90 kB."""

NUMBERS = {f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)} | {"float32", "float64", "bool"}
"""Data types of numbers."""

TEXT = "fixed_length_utf32"
"""Data type of texts."""

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every entry, the earliest that a zip file can name."""


def write_archive(tree: xr.DataTree, path: Path) -> None:
    """Writes a result; raises Corrupt where it cannot be read back as it was.

    tree: the result.
    path: of the file.
    """
    entries: dict[str, Any] = {}
    with reading("its result"), zarr.config.set({"array.write_empty_chunks": True}), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # consolidated metadata are an extension of format 3
        plain = tree.map_over_datasets(_plain)
        encoding = {group.path: _encoding(group.to_dataset(inherit=False)) for group in plain.subtree}
        plain.to_zarr(MemoryStore(entries), mode="w", encoding=encoding, consolidated=True, zarr_format=3)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(entries, key=_order(tree)):
            archive.writestr(zipfile.ZipInfo(name, EPOCH), entries[name].to_bytes())
    if not same(read_archive(path), tree):
        raise Corrupt("its result is not the same when it is written as Zarr")


def read_archive(path: Path) -> xr.DataTree:
    """An archive in memory; raises Corrupt where it is none of :func:`write_archive`'s kind, or declares too much.

    Its arrays are bytes that numpy takes as they are; Zarr itself, which does what metadata ask for, has no part in
    it.

    path: of the file.
    """
    with regular(path, MAX_RESULT) as place, reading(path.name), zipfile.ZipFile(place) as archive:
        nodes = _nodes(archive, place.stat().st_size, path.name)
        groups: dict[str, dict[str, xr.Variable]] = {}
        coordinates: dict[str, set[str]] = {}
        attributes: dict[str, dict[str, Any]] = {}
        for node, metadata in nodes.items():
            said = dict(metadata["attributes"])
            if metadata["node_type"] == "group":
                groups.setdefault(node, {})
                coordinates.setdefault(node, set()).update(said.pop("coordinates", "").split())
                attributes[node] = said
                continue
            group, _, name = node.rpartition("/")
            dims = tuple(map(str, metadata.get("dimension_names", ())))  # a scalar has none
            coordinates.setdefault(group, set()).update({name} & set(dims), said.pop("coordinates", "").split())
            groups.setdefault(group, {})[name] = xr.Variable(dims, _values(archive, node, metadata), said)
    return xr.DataTree.from_dict(
        {
            f"/{group}": xr.Dataset(
                {name: values for name, values in variables.items() if name not in coordinates[group]},
                {name: values for name, values in variables.items() if name in coordinates[group]},
                attributes[group],
            )
            for group, variables in groups.items()
        }
    )


def same(first: xr.DataTree, second: xr.DataTree) -> bool:
    """Whether two results hold the same numbers and texts of the same types.

    first: one of them.
    second: the other.
    """
    return first.identical(second) and _types(first) == _types(second)


def _types(tree: xr.DataTree) -> dict[tuple[str, str], str]:
    """Types of numbers; texts are texts, however long the longest of them may be."""
    return {
        (group.path, str(name)): "text" if values.dtype.kind in "OUT" else values.dtype.str
        for group in tree.subtree
        for name, values in group.to_dataset(inherit=False).variables.items()
    }


def _plain(group: xr.Dataset) -> xr.Dataset:
    """The group without notes of how it was stored, and with texts of one length."""
    texts = {name: values.astype(str) for name, values in group.variables.items() if values.dtype.kind == "O"}
    return group.drop_encoding().assign(texts)


def _encoding(group: xr.Dataset) -> dict[Any, dict[str, Any]]:
    """How each variable is stored: as it is, in one chunk."""
    return {
        name: {"compressors": None, "chunks": _chunk(values.shape)}
        | ({"_FillValue": None} if values.dtype.kind == "f" else {})
        for name, values in group.variables.items()
    }


def _order(tree: xr.DataTree) -> Callable[[str], tuple[int, bool, str]]:
    """Groups and variables come in the archive as they do in the tree, metadata before chunks."""
    names = [""]
    for group in tree.subtree:
        path = group.path.strip("/")
        names += [path, *(f"{path}/{name}".strip("/") for name in group.to_dataset(inherit=False).variables)]
    places = {name: number for number, name in enumerate(dict.fromkeys(names))}

    def key(entry: str) -> tuple[int, bool, str]:
        node = entry.removesuffix(METADATA).rstrip("/")
        while node not in places:  # a chunk lies beneath its array
            node = node.rpartition("/")[0]
        return places[node], not _is_metadata(entry), entry

    return key


def _nodes(archive: zipfile.ZipFile, size: int, name: str) -> dict[str, Any]:
    """Metadata of the groups and arrays of an archive by path, in its order; raises Corrupt, or another error, where it
    is none.
    """
    entries = archive.infolist()
    if len(entries) > 2 * MAX_VARIABLES or sum(entry.file_size for entry in entries) > size:
        raise Corrupt(f"{name} declares more than it holds")
    if any(entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 for entry in entries):
        raise Corrupt(f"{name} has entries that are compressed or encrypted")
    if archive.getinfo(METADATA).file_size > MAX_METADATA:
        raise Corrupt(f"{name} has more than {MAX_METADATA:,} bytes of metadata")
    root = json.loads(archive.read(METADATA))
    nodes = {"": root, **root["consolidated_metadata"]["metadata"]}
    paths = [entry.filename.removesuffix(METADATA).rstrip("/") for entry in entries if _is_metadata(entry.filename)]
    if sorted(paths) != sorted(nodes):
        raise Corrupt(f"{name} has other arrays than it declares")
    return {path: nodes[path] for path in paths}


def _is_metadata(entry: str) -> bool:
    return entry.rpartition("/")[2] == METADATA


def _values(archive: zipfile.ZipFile, path: str, metadata: Mapping[str, Any]) -> npt.NDArray[Any]:
    """An array of an archive; raises Corrupt where it is not stored as it is, or its shape needs other bytes."""
    kind, shape = metadata["data_type"], tuple(metadata["shape"])
    codecs = [codec["name"] for codec in metadata["codecs"]]
    endian = metadata["codecs"][0].get("configuration", {}).get("endian", "little")
    chunk = tuple(metadata["chunk_grid"]["configuration"]["chunk_shape"])
    if codecs != ["bytes"] or endian != "little" or metadata.get("storage_transformers"):
        raise Corrupt(f"{path} of its result is not stored as it is")
    if not all(isinstance(length, int) and length >= 0 for length in shape) or chunk != _chunk(shape):
        raise Corrupt(f"{path} of its result is not stored in one piece")
    if isinstance(kind, dict) and kind["name"] == TEXT:
        dtype = np.dtype(f"<U{int(kind['configuration']['length_bytes']) // 4}")
    elif isinstance(kind, str) and kind in NUMBERS:
        dtype = np.dtype(kind)
    else:
        raise Corrupt(f"{path} of its result holds neither numbers nor texts")
    if not math.prod(shape):
        return np.empty(shape, dtype)
    entry = archive.getinfo("/".join([path, "c", *("0" for _ in shape)]))
    if entry.file_size != math.prod(shape) * dtype.itemsize:
        raise Corrupt(f"{path} of its result has other bytes than its shape needs")
    values = np.frombuffer(archive.read(entry), np.uint8) if dtype.itemsize else np.empty(0, np.uint8)
    return values.view(dtype).reshape(shape).copy()


def _chunk(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(max(1, length) for length in shape)
