"""Contents: the groups of a result by name, of which each is taken into memory when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import xarray as xr

from study.store.block import Array

Sizes = Mapping[str, dict[str, int]]
"""Length of each dimension, by group and by name of the dimension."""


Values = tuple[tuple[str, ...], Array]
"""Names of dimensions, and an array that has them."""


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
