"""Stored cell: one finished cell with its configuration and its result, whose estimates are named by address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from analysis.address import Address
from analysis.layout import ROWS
from study.answers.settings import settings
from study.design.cell import Cell, Train, seeds_of
from study.design.latent import sides
from study.design.length import LENGTHS
from study.store.contents import Contents, Tables, axes_of, ordered
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
        return stored | ({"seeds": len(self.seeds)} if self.parts else {})

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """Training seed of each replicate, in the order of the result: those of the same seed share data order and
        noise."""
        if self.parts:
            return tuple(seed for part in self.parts for seed in part.seeds)
        return tuple(seeds_of(self.manifest.config))

    @property
    def identity(self) -> tuple[Any, ...]:
        """Settings that are equal among cells whose results differ by chance alone, or by how they were measured."""
        return self.held_fixed(())

    @cached_property
    def _fixed(self) -> dict[tuple[str, ...], tuple[Any, ...]]:
        """What is held fixed, by the factors for which it has been asked."""
        return {}

    def held_fixed(self, factors: tuple[str, ...]) -> tuple[Any, ...]:
        """Names and values, as texts, of the settings in which cells of one family over ``factors`` agree."""
        if factors not in self._fixed:
            self._fixed[factors] = _held_fixed(self.settings, factors)
        return self._fixed[factors]

    @property
    def groups(self) -> frozenset[str]:
        """Names of the result's groups."""
        return frozenset(self.contents.sizes)

    def group(self, name: str) -> xr.Dataset | None:
        """A group of the result, or None where this cell has none of that name."""
        return self.contents.group(name) if name in self.contents.sizes else None

    @cached_property
    def tables(self) -> Tables:
        """The groups of estimates, which are asked many times."""
        return self.contents.tables()

    def numbers(self, estimate: str) -> npt.NDArray[np.float64] | None:
        """Value and standard error of an estimate by replicate, ``(S, 2)``; None where the cell has none of that
        address.

        Raises ValueError as :func:`estimate_of` does.
        """
        address = _address(estimate)
        table = self.tables.get(address.group)
        if table is None or address.row not in table.rows or address.quantity not in table.quantities:
            return None
        row, quantity = table.rows[address.row], table.quantities[address.quantity]
        return np.stack([table.value[:, row, quantity], table.standard_error[:, row, quantity]], -1)

    def with_replicates(self, contents: Contents, parts: tuple[StoredCell, ...]) -> StoredCell:
        """The same cell with the replicates of ``parts``, itself for one, whose result is ``contents``."""
        return replace(self, contents=contents, parts=parts)

    def with_contents(self, contents: Contents) -> StoredCell:
        """The same cell with another result, ``contents``."""
        other = replace(self, contents=contents)
        # What is derived of the configuration alone costs as much as all else.
        vars(other).update({name: getattr(self, name) for name in ("settings", "_fixed")})
        return other


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
    axes = axes_of(address.group)
    row, quantity = table.rows[address.row], table.quantities[address.quantity]
    fields = [ordered(each, axes)[:, row, quantity] for each in cell.contents.values(address.group, *FIELDS)]
    return dict(zip(FIELDS, fields, strict=True))


@lru_cache(maxsize=1024)
def _address(estimate: str) -> Address:
    address = Address.parse(estimate)
    if address.group not in ROWS:
        raise ValueError(f"expected an estimate in one of the groups {', '.join(ROWS)}; got {estimate!r}: name one")
    return address


def _held_fixed(settings: Mapping[str, Any], factors: tuple[str, ...]) -> tuple[Any, ...]:
    """Names and values, as texts, of the ``settings`` in which cells of one family over ``factors`` agree."""
    free = set(factors) | IMMATERIAL | (set(LENGTHS) if "updates" in settings else set())
    heads = tuple(f"{factor}." for factor in factors)
    fixed = {
        name: value
        for name, value in settings.items()
        if name not in free and not name.startswith((*heads, "evaluate.")) and name not in {"latent", "latent_dim"}
    }
    if "latent" not in factors:
        fixed["latent"] = sides(settings["latent"]) if "latent_dim" in factors else settings["latent"]
    return tuple(sorted((name, str(value)) for name, value in fixed.items()))
