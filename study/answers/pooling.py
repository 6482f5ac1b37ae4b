"""Pooling: cells that differ in their seeds alone are one cell with the replicates of all.

So a study gets more seeds without training anew: ``latent-study run STUDY seed_offset=3 seeds=5`` adds five replicates
to the three of ``latent-study run STUDY seeds=3``, and results of several machines add up. Initial weights, data order
and noise follow from a replicate's seed, so that seeds which two cells share would count twice: such cells stay apart.
"""

from __future__ import annotations

import json
import logging
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr

from study.answers.stored_cell import StoredCell
from study.design.cell import Train
from study.store.contents import EstimateTable, Sizes, Tables, Values

log = logging.getLogger(__name__)

OF_SEEDS = {"seeds", "seed_offset"}


def pooled(cells: Iterable[StoredCell]) -> tuple[StoredCell, ...]:
    """The cells, those in one that differ in their seeds alone; in the order of the key of the first of each.

    cells: finished cells, each key once.
    """
    alike: dict[Any, list[StoredCell]] = defaultdict(list)
    in_common = _InCommon()
    for cell in cells:
        alike[in_common(cell)].append(cell)
    joined = (_joined(group) for each in alike.values() for group in _without_common_seeds(each))
    return tuple(sorted(joined, key=lambda cell: cell.key))


class _InCommon:
    """What cells must have in common: all settings but those of seeds and of how training is executed, the images, and
    the layout of the result.

    Most of ten thousand cells have the same objects as settings (:class:`study.store.header.Shared`), of which each is
    put into words once.
    """

    def __init__(self) -> None:
        # With the object, since its number is another's once it is gone.
        self._words: dict[tuple[int, object], tuple[Any, Any]] = {}

    def __call__(self, cell: StoredCell) -> tuple[Any, ...]:
        """What others must have in common with a cell."""
        config = cell.manifest.config
        settings = sorted((name, value) for name, value in config.items() if name not in OF_SEEDS)
        words = tuple((name, self._once(value, _train if name == "train" else _words)) for name, value in settings)
        return words, cell.manifest.images, self._once(cell.contents.sizes, _one_replicate)

    def _once[Value](self, value: Value, form: Callable[[Value], Any]) -> Any:
        if not isinstance(value, dict | list):
            return form(value)
        if (id(value), form) not in self._words:
            self._words[id(value), form] = value, form(value)
        return self._words[id(value), form][1]


def _words(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _train(settings: dict[str, Any]) -> str:
    return _words({name: value for name, value in settings.items() if name not in Train.execution})


def _one_replicate(sizes: Sizes) -> tuple[Any, ...]:
    """Dimensions and their lengths, by group, but for the number of replicates."""
    groups = (
        (name, sorted(size for size in of_group.items() if size[0] != "chain")) for name, of_group in sizes.items()
    )
    return tuple(sorted((name, tuple(of_group)) for name, of_group in groups))


def _without_common_seeds(cells: list[StoredCell]) -> list[list[StoredCell]]:
    """The set of ``cells`` without a common seed that has the most replicates, in increasing order of its seeds, and
    each other cell by itself: weighted interval scheduling."""
    ordered = sorted(cells, key=lambda cell: (cell.seeds[-1], cell.seeds[0], cell.key))
    lasts = [cell.seeds[-1] for cell in ordered]
    best: list[tuple[int, list[StoredCell]]] = [(0, [])]  # by how many of the first cells may be taken
    for cell in ordered:
        number, chosen = best[bisect_left(lasts, cell.seeds[0])]
        best.append(max(best[-1], (number + len(cell.seeds), [*chosen, cell]), key=lambda each: each[0]))
    chosen = best[-1][1]
    apart = [cell for cell in ordered if all(cell is not other for other in chosen)]
    if apart:
        log.warning(
            "%d cells have training seeds in common with others that differ from them in nothing else, and are not "
            "counted with them: %s; give further seeds a seed_offset of their own",
            len(apart),
            ", ".join(cell.key for cell in apart),
        )
    return [chosen, *([cell] for cell in apart)]


def _joined(cells: list[StoredCell]) -> StoredCell:
    return cells[0] if len(cells) == 1 else cells[0].with_replicates(_Pooled(tuple(cells)), tuple(cells))


@dataclass(frozen=True, eq=False)
class _Pooled:
    """The results of several cells as one, whose replicates are numbered by their seeds.

    cells: in increasing order of their seeds.
    """

    cells: tuple[StoredCell, ...]

    @cached_property
    def sizes(self) -> Sizes:
        of_first = self.cells[0].contents.sizes
        replicates = {"chain": sum(len(cell.seeds) for cell in self.cells)}
        return {name: of_first[name] | (replicates if "chain" in of_first[name] else {}) for name in sorted(of_first)}

    def group(self, name: str) -> xr.Dataset:
        tables = [cell.contents.group(name) for cell in self.cells]
        if "chain" not in tables[0].dims:
            return tables[0]
        numbered = [table.assign_coords(chain=list(cell.seeds)) for table, cell in zip(tables, self.cells, strict=True)]
        return xr.concat(numbered, "chain", data_vars="minimal", join="exact")

    def variables(self, group: str) -> list[str]:
        return self.cells[0].contents.variables(group)

    def values(self, group: str, *variables: str) -> list[Values]:
        of_cells = [cell.contents.values(group, *variables) for cell in self.cells]
        return [_concatenated(each) for each in zip(*of_cells, strict=True)]

    def tables(self) -> Tables:
        """Those of all cells; raises ValueError where they were not measured alike."""
        of_cells = [cell.contents.tables() for cell in self.cells]
        return {group: _stacked([tables[group] for tables in of_cells]) for group in of_cells[0]}


def _stacked(tables: Sequence[EstimateTable]) -> EstimateTable:
    """The replicates of all tables in one; raises ValueError where rows or quantities differ."""
    first = tables[0]
    if any(each.rows != first.rows or each.quantities != first.quantities for each in tables):
        raise ValueError("expected cells that were measured alike; got others of the same configuration")
    value = np.concatenate([each.value for each in tables])
    error = np.concatenate([each.standard_error for each in tables])
    return first._replace(value=value, standard_error=error)


def _concatenated(values: Sequence[Values]) -> Values:
    """Values of cells after one another along ``chain``; raises ValueError where others than replicates differ."""
    dims, first = values[0]
    if "chain" in dims:
        return dims, np.concatenate([each for _, each in values], dims.index("chain"))
    if not all(np.array_equal(first, each) for _, each in values):
        raise ValueError(f"expected cells that were measured alike; got others along {', '.join(dims)}")
    return dims, first
