"""Remeasured: results as another evaluation of the same trained replicates might have given them.

Every estimate is drawn anew from a normal distribution about its value with its standard error, independently of the
others. What a statistic of estimates then varies by is the noise of the evaluation in it. Records of single draws and
images stay as they are, as do estimates without a standard error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from analysis.layout import ROWS
from analysis.normal_noise import NormalNoise
from study.answers.results import Results, StoredCell
from study.store.contents import Contents, Sizes, Values


def remeasured(results: Results, noise: NormalNoise) -> Results:
    """``results`` with every estimate drawn anew.

    Args:
        results: finished cells.
        noise: the whole of the randomness.
    """
    return replace(results, cells=tuple(_cell(cell, noise) for cell in results))


def _cell(cell: StoredCell, noise: NormalNoise) -> StoredCell:
    drawn = {}
    for group in (name for name in cell.contents.sizes if name in ROWS):
        (dims, value), (_, error) = cell.contents.values(group, "value", "standard_error")
        errors = np.nan_to_num(error.astype(float), posinf=0.0)
        drawn[group] = dims, value + errors * noise.draw(errors.shape)
    return cell.with_contents(_Remeasured(cell.contents, drawn))


@dataclass(frozen=True, eq=False)
class _Remeasured:
    """A result whose estimates have other values.

    of: the result as it is.
    drawn: values, by group.
    """

    of: Contents
    drawn: Mapping[str, Values]

    @property
    def sizes(self) -> Sizes:
        return self.of.sizes

    def group(self, name: str) -> xr.Dataset:
        group = self.of.group(name)
        return group.assign(value=self.drawn[name]) if name in self.drawn else group

    def variables(self, group: str) -> list[str]:
        return self.of.variables(group)

    def values(self, group: str, *variables: str) -> list[Values]:
        found = dict(zip(variables, self.of.values(group, *variables), strict=True))
        if "value" in found and group in self.drawn:
            found["value"] = self.drawn[group]
        return list(found.values())
