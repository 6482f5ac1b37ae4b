"""Lazy: merged trees of many cells whose arrays are read when they are asked for.

Dimensions, types and labels are those that the arrays had when all cells of a tree were merged once in memory; the
arrays themselves were dropped, so that as many cells can be loaded as fit by their labels. A file is open only while it
is read. All bytes of a result are verified again whenever something of it is: what is read is what was loaded.

The group that was read last is held, since its arrays are mostly asked for one after another. ``xarray``'s own
``.load()`` keeps what it reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, final

import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from study.errors import DataError
from study.store.manifest import Manifest, sha256
from study.store.merge import along_latent_dim, by_label, joined
from study.store.netcdf import group_of, groups
from study.store.reading import MAX_RESULT, Corrupt, regular
from study.store.store import RESULT, Store


@dataclass(frozen=True)
class Member:
    """A cell of a merged tree.

    store: that holds it.
    key: of the cell.
    latent_dim: D.
    digest: SHA-256 of its result.
    """

    store: Store
    key: str
    latent_dim: int
    digest: str

    def groups(self) -> dict[str, xr.Dataset]:
        """Groups of the result by path, in memory; raises DataError where it is no longer the one that was loaded."""
        return self._read(groups)

    def group(self, path: str) -> xr.Dataset:
        """The group at ``path``, which it has, as :meth:`groups` reads it."""
        return self._read(lambda place: group_of(place, path.strip("/") or "/"))

    def _read[T](self, reader: Callable[[Path], T]) -> T:
        folder = self.store.folder(self.key)
        try:
            with regular(folder / RESULT, MAX_RESULT) as place:
                if sha256(place) != self.digest:
                    raise Corrupt(f"{RESULT} has other bytes than were written")
                return reader(place)
        except Corrupt as error:
            raise DataError(f"{folder} has changed since it was loaded: {error}; load the results again") from error


@dataclass(frozen=True)
class Group:
    """A group of a merged tree.

    path: in the tree.
    members: the cells that have it, in increasing order of their latent dimensions.
    latent_dims: those of all cells of the tree.
    """

    path: str
    members: tuple[Member, ...]
    latent_dims: tuple[int, ...]


def lazy_trees(store: Store, manifests: Mapping[str, Manifest]) -> dict[str, xr.DataTree]:
    """One tree per label, as :func:`study.store.merge.merge` makes it.

    store: the results.
    manifests: of the cells, by key.

    Raises DataError where a result changes meanwhile.
    """
    trees = {}
    for label, keys in by_label({key: manifest.config for key, manifest in manifests.items()}).items():
        members = {dim: Member(store, key, dim, manifests[key].files[RESULT]) for dim, key in keys.items()}
        trees[label] = xr.DataTree.from_dict(_outlines(members))
    return trees


def _outlines(members: Mapping[int, Member]) -> dict[str, xr.Dataset]:
    """Merged groups of cells by path, whose arrays are to be read; the cells by latent dimension."""
    read = {dim: member.groups() for dim, member in members.items()}
    outlines = {}
    for path, merged in along_latent_dim(read).items():
        having = tuple(member for dim, member in members.items() if path in read[dim])
        outlines[path] = _without_arrays(merged, Group(path, having, tuple(members)))
    return outlines


def _without_arrays(merged: xr.Dataset, group: Group) -> xr.Dataset:
    """What was merged, with arrays that are to be read; labels stay in memory."""
    lazy = {
        name: xr.Variable(array.dims, indexing.LazilyIndexedArray(_Array(group, str(name), array)), array.attrs)
        for name, array in merged.data_vars.items()
    }
    return merged.assign(lazy)


@final
class _Array(BackendArray):
    """An array of a merged group, for xarray.

    group: that it is in.
    name: of the array.
    like: the array as it was, for its shape and type.
    """

    def __init__(self, group: Group, name: str, like: xr.DataArray) -> None:
        self._group, self._name = group, name
        self.shape, self.dtype = like.shape, like.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.BASIC, self._taken)

    def _taken(self, key: tuple[int | slice, ...]) -> Any:
        return _merged(self._group)[self._name].values[key]


@lru_cache(maxsize=1)
def _merged(group: Group) -> xr.Dataset:
    """A group of all cells that have it, in memory."""
    return joined({member.latent_dim: member.group(group.path) for member in group.members}, group.latent_dims)
