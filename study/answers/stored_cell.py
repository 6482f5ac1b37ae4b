"""Stored cell: one finished cell with its configuration and its result, whose estimates are named by address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import xarray as xr

from analysis.address import Address
from analysis.layout import ROWS
from study.answers.settings import settings
from study.design.cell import Cell, Train
from study.design.length import LENGTHS
from study.store.contents import Contents, Values
from study.store.manifest import Manifest
from study.store.store import Store

IMMATERIAL = {"seeds", *(f"train.{name}" for name in Train.execution)}
"""Settings in which cells of one family may differ: they change what is computed of a result, and not the result."""

FIELDS = ("value", "standard_error", "n", "bound", "flags")
"""Columns of :meth:`Results.values`."""


@dataclass(frozen=True, eq=False)
class StoredCell:
    """One finished cell: its configuration, its result and its trained replicates.

    study: name of the study that computed it.
    store: the store that holds it.
    manifest: its record there.
    contents: its result, see :mod:`analysis.tree`.
    parts: the cells whose replicates it holds, itself for one, where these are several; see
        :mod:`study.answers.pooling`.
    """

    study: str
    store: Store
    manifest: Manifest
    contents: Contents
    parts: tuple[StoredCell, ...] = ()

    @property
    def stored(self) -> tuple[StoredCell, ...]:
        """The cells of which each has a folder of its own."""
        return self.parts or (self,)

    @property
    def key(self) -> str:
        """The cell's key."""
        return self.manifest.key

    @cached_property
    def cell(self) -> Cell:
        """The configuration, validated."""
        return Cell.from_config(self.manifest.config)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Every setting under its dotted name, see :func:`settings`; ``seeds`` is the number of all replicates."""
        counted = self.manifest.details.get("training_images")
        stored = settings(self.manifest.config, counted if isinstance(counted, int) else None)
        return stored | ({"seeds": sum(part.settings["seeds"] for part in self.parts)} if self.parts else {})

    @cached_property
    def identity(self) -> tuple[Any, ...]:
        """Settings that are equal among cells whose results differ by chance alone, or by how they were measured."""
        return held_fixed(self.settings, ())

    @property
    def groups(self) -> frozenset[str]:
        """Names of the result's groups."""
        return frozenset(self.contents.sizes)

    def group(self, name: str) -> xr.Dataset | None:
        """A group of the result, or None where this cell has none of that name."""
        return self.contents.group(name) if name in self.contents.sizes else None

    def estimates(self) -> xr.DataTree:
        """The groups of estimates alone."""
        return xr.DataTree.from_dict({name: self.contents.group(name) for name in ROWS if name in self.contents.sizes})

    @cached_property
    def tables(self) -> Mapping[str, EstimateTable]:
        """The values of the groups of estimates, which are asked many times."""
        return {name: EstimateTable.of(self.contents, name) for name in ROWS if name in self.contents.sizes}

    def numbers(self, estimate: str) -> npt.NDArray[np.float64] | None:
        """Value and standard error of an estimate by replicate, ``(S, 2)``; None where the cell has none of that
        address.

        Raises ValueError as :func:`estimate_of` does.
        """
        address = _address(estimate)
        table = self.tables.get(address.group)
        if table is None or address.row not in table.rows or address.quantity not in table.quantities:
            return None
        return table.numbers[:, table.rows[address.row], table.quantities[address.quantity]]

    def with_replicates(self, contents: Contents, parts: tuple[StoredCell, ...]) -> StoredCell:
        """The same cell with the replicates of ``parts``, itself for one, whose result is ``contents``."""
        return replace(self, contents=contents, parts=parts)

    def with_contents(self, contents: Contents) -> StoredCell:
        """The same cell with another result, ``contents``."""
        other = replace(self, contents=contents)
        # What is derived of the configuration alone costs as much as all else.
        vars(other).update({name: getattr(self, name) for name in ("cell", "settings", "identity")})
        return other


class EstimateTable(NamedTuple):
    """A group of estimates.

    numbers: values and standard errors, ``(S, rows, quantities, 2)``.
    rows, quantities: the place of each along its axis.
    """

    numbers: npt.NDArray[np.float64]
    rows: Mapping[str, int]
    quantities: Mapping[str, int]

    @classmethod
    def of(cls, contents: Contents, group: str) -> EstimateTable:
        """The estimates of a ``group`` of a result, its ``contents``."""
        axes = ("chain", ROWS[group], "quantity")
        *fields, rows, quantities = contents.values(group, "value", "standard_error", *axes[1:])
        numbers = np.stack([ordered(each, axes) for each in fields], -1).astype(float)
        return cls(numbers, _places(tuple(rows[1].tolist())), _places(tuple(quantities[1].tolist())))


def ordered(found: Values, axes: tuple[str, ...]) -> npt.NDArray[Any]:
    """Values ``found`` in a result as an array with the dimensions ``axes``, in their order."""
    dims, values = found
    return values.transpose([dims.index(axis) for axis in axes])


@cache
def _places(names: tuple[str, ...]) -> Mapping[str, int]:
    """Where each of the names stands; those of cells that were measured alike are alike."""
    return {name: place for place, name in enumerate(names)}


def estimate_of(cell: StoredCell, estimate: str) -> dict[str, npt.NDArray[Any]] | None:
    """The FIELDS of one estimate of ``cell`` by replicate, ``(S,)`` each; None where the cell has none of that address.

    Args:
        cell: the finished cell.
        estimate: address, ``"group/row/quantity"``.

    Raises ValueError if ``estimate`` is no address, or its group holds no estimates.
    """
    address = _address(estimate)
    table = cell.tables.get(address.group)
    if table is None or address.row not in table.rows or address.quantity not in table.quantities:
        return None
    axes = ("chain", ROWS[address.group], "quantity")
    row, quantity = table.rows[address.row], table.quantities[address.quantity]
    fields = [ordered(each, axes)[:, row, quantity] for each in cell.contents.values(address.group, *FIELDS)]
    return dict(zip(FIELDS, fields, strict=True))


def _address(estimate: str) -> Address:
    address = Address.parse(estimate)
    if address.group not in ROWS:
        raise ValueError(f"expected an estimate in one of the groups {', '.join(ROWS)}; got {estimate!r}: name one")
    return address


def held_fixed(settings: Mapping[str, Any], factors: tuple[str, ...]) -> tuple[Any, ...]:
    """Names and values, as texts, of the ``settings`` in which cells of one family over ``factors`` agree."""
    free = set(factors) | IMMATERIAL | (set(LENGTHS) if "updates" in settings else set())
    heads = tuple(f"{factor}." for factor in factors)
    fixed = {
        name: value
        for name, value in settings.items()
        if name not in free and not name.startswith((*heads, "evaluate.")) and name not in {"latent", "latent_dim"}
    }
    if "latent" not in factors:
        sides = "×".join(settings["latent"].split("x")[1:])
        fixed["latent"] = sides if "latent_dim" in factors else settings["latent"]
    return tuple(sorted((name, str(value)) for name, value in fixed.items()))
