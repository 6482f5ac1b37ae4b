"""Contents: the groups of a result by name, of which each is taken into memory when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import xarray as xr

from analysis.layout import ROWS
from study.store.block import Array

Sizes = Mapping[str, dict[str, int]]
"""Length of each dimension, by group and by name of the dimension."""


Values = tuple[tuple[str, ...], Array]
"""Names of dimensions, and an array that has them."""


class EstimateTable(NamedTuple):
    """A group of estimates.

    value, standard_error: ``(S, rows, quantities)``, by replicate.
    rows, quantities: the place of each along its axis.
    """

    value: npt.NDArray[np.float64]
    standard_error: npt.NDArray[np.float64]
    rows: Mapping[str, int]
    quantities: Mapping[str, int]


Tables = Mapping[str, EstimateTable]
"""Estimates by group, see :data:`analysis.layout.ROWS`."""


class Contents(Protocol):
    """A result, see :mod:`analysis.tree`."""

    @property
    def sizes(self) -> Sizes:
        """Lengths of the dimensions of every group."""
        ...

    def group(self, name: str) -> xr.Dataset:
        """The group of this ``name``; raises KeyError where there is none."""
        ...

    def variables(self, group: str) -> list[str]:
        """Names of the variables of a ``group`` that label no others; raises KeyError where there is no such group."""
        ...

    def values(self, group: str, *variables: str) -> list[Values]:
        """Each of the ``variables`` of a ``group``; raises KeyError where one of them is not there."""
        ...

    def tables(self) -> Tables:
        """Every group of estimates."""
        ...


def axes_of(group: str) -> tuple[str, ...]:
    """The dimensions of a ``group`` of estimates, in the order of an :class:`EstimateTable`."""
    return "chain", ROWS[group], "quantity"


def ordered(found: Values, axes: tuple[str, ...]) -> Array:
    """Values ``found`` in a result as an array with the dimensions ``axes``, in their order."""
    dims, values = found
    return values if dims == axes else values.transpose([dims.index(axis) for axis in axes])


def tables_of(contents: Contents) -> Tables:
    """Every group of estimates of a result, its ``contents``, by their values."""
    tables = {}
    for group in (name for name in ROWS if name in contents.sizes):
        axes = axes_of(group)
        *fields, rows, quantities = contents.values(group, "value", "standard_error", *axes[1:])
        value, error = (ordered(each, axes).astype(float) for each in fields)
        tables[group] = EstimateTable(value, error, *(places(tuple(each[1].tolist())) for each in (rows, quantities)))
    return tables


@cache
def places(names: tuple[str, ...]) -> Mapping[str, int]:
    """Where each of the ``names`` stands; those of cells that were measured alike are one object."""
    return {name: place for place, name in enumerate(names)}


def values_of(group: xr.Dataset, variables: tuple[str, ...]) -> list[Values]:
    """Each of the ``variables`` of a ``group``; raises KeyError where one of them is not there."""
    return [(tuple(map(str, group[name].dims)), group[name].values) for name in variables]


@dataclass(frozen=True, eq=False)
class Held:
    """A result in memory.

    tree: the result.
    """

    tree: xr.DataTree

    @cached_property
    def sizes(self) -> Sizes:
        """Lengths of the dimensions of every group."""
        return {name: {str(dim): size for dim, size in node.sizes.items()} for name, node in self.tree.children.items()}

    def group(self, name: str) -> xr.Dataset:
        """The group of this ``name``; raises KeyError where there is none."""
        return self.tree[name].to_dataset()

    def variables(self, group: str) -> list[str]:
        """Names of the variables of a ``group`` that label no others; raises KeyError where there is no such group."""
        return list(map(str, self.group(group).data_vars))

    def values(self, group: str, *variables: str) -> list[Values]:
        """Each of the ``variables`` of a ``group``; raises KeyError where one of them is not there."""
        return values_of(self.group(group), variables)

    def tables(self) -> Tables:
        """Every group of estimates."""
        return tables_of(self)
