"""Remeasured: results as another evaluation of the same trained replicates might have given them.

Every estimate is drawn anew from a normal distribution about its value with its standard error, independently of the
others. What a statistic of estimates then varies by is the noise of the evaluation in it. Records of single draws and
images stay as they are, as do estimates without a standard error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import override

import numpy as np
import numpy.typing as npt
import xarray as xr

from analysis.layout import ROWS
from analysis.normal_noise import NormalNoise
from study.answers.results import Results, StoredCell
from study.store.contents import Contents, EstimateTable, Sizes, Tables, Values, axes_of


def remeasured(results: Results, noise: NormalNoise) -> Results:
    """``results`` with every estimate drawn anew.

    Args:
        results: finished cells.
        noise: the whole of the randomness.
    """
    return replace(results, cells=tuple(_cell(cell, noise) for cell in results))


def _cell(cell: StoredCell, noise: NormalNoise) -> StoredCell:
    groups = [name for name in cell.contents.sizes if name in ROWS]
    reserved = {name: noise.reserve(cell.tables[name].value.shape) for name in groups}
    return cell.with_contents(_Remeasured(cell.contents, _Anew(cell.tables, reserved)))


class _Anew(Mapping[str, EstimateTable]):
    """Groups of estimates, each of which is drawn anew when it is first asked for.

    tables: as they are.
    reserved: noise of each.
    """

    def __init__(self, tables: Tables, reserved: Mapping[str, Callable[[], npt.NDArray[np.float64]]]) -> None:
        self._tables, self._reserved = tables, reserved
        self._drawn: dict[str, EstimateTable] = {}

    @override
    def __getitem__(self, group: str) -> EstimateTable:
        if group not in self._drawn:
            table = self._tables[group]
            value = table.value + np.nan_to_num(table.standard_error, posinf=0.0) * self._reserved[group]()
            self._drawn[group] = table._replace(value=value)
        return self._drawn[group]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    @override
    def __len__(self) -> int:
        return len(self._tables)


@dataclass(frozen=True, eq=False)
class _Remeasured:
    """A result whose estimates have other values.

    of: the result as it is.
    anew: the groups of estimates with these.
    """

    of: Contents
    anew: Tables

    @property
    def sizes(self) -> Sizes:
        return self.of.sizes

    def group(self, name: str) -> xr.Dataset:
        group = self.of.group(name)
        return group.assign(value=(axes_of(name), self.anew[name].value)) if name in self.anew else group

    def variables(self, group: str) -> list[str]:
        return self.of.variables(group)

    def values(self, group: str, *variables: str) -> list[Values]:
        found = dict(zip(variables, self.of.values(group, *variables), strict=True))
        if "value" in found and group in self.anew:
            found["value"] = axes_of(group), self.anew[group].value
        return list(found.values())

    def tables(self) -> Tables:
        return self.anew
