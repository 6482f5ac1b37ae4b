"""Pooling: cells that differ in their seeds alone are one cell with the replicates of all.

So a study gets more seeds without training anew: ``latent-study run STUDY seed_offset=3 seeds=5`` adds five replicates
to the three of ``latent-study run STUDY seeds=3``, and results of several machines add up. Initial weights, data order
and noise follow from a replicate's seed, so that seeds which two cells share would count twice: such cells stay apart.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import xarray as xr

from study.answers.stored_cell import StoredCell
from study.design.cell import Train

log = logging.getLogger(__name__)

OF_SEEDS = {"seeds", "seed_offset"}


def pooled(cells: Iterable[StoredCell]) -> tuple[StoredCell, ...]:
    """The cells, those in one that differ in their seeds alone; in the order of the key of the first of each.

    cells: finished cells, each key once.
    """
    alike: dict[Any, list[StoredCell]] = defaultdict(list)
    for cell in cells:
        alike[_configuration(cell)].append(cell)
    joined = (_joined(group) for each in alike.values() for group in _without_common_seeds(each))
    return tuple(sorted(joined, key=lambda cell: cell.key))


def _configuration(cell: StoredCell) -> tuple[Any, ...]:
    """What cells must have in common: all settings but those of seeds and of how training is executed, the images, and
    the layout of the result."""
    config = {name: value for name, value in cell.manifest.config.items() if name not in OF_SEEDS}
    config["train"] = {name: value for name, value in config.get("train", {}).items() if name not in Train.execution}
    layout = tuple(sorted((name, tuple(sorted(cell.tree[name].sizes.items()))) for name in cell.groups))
    one_replicate = tuple((name, tuple(size for size in sizes if size[0] != "chain")) for name, sizes in layout)
    return json.dumps(config, sort_keys=True), cell.manifest.images, one_replicate


def _seeds(cell: StoredCell) -> range:
    first = cell.settings["seed_offset"]
    return range(first, first + cell.settings["seeds"])


def _without_common_seeds(cells: list[StoredCell]) -> list[list[StoredCell]]:
    """The set of ``cells`` without a common seed that has the most replicates, in increasing order of its seeds, and
    each other cell by itself: weighted interval scheduling."""
    ordered = sorted(cells, key=lambda cell: (_seeds(cell).stop, _seeds(cell).start, cell.key))
    best: list[tuple[int, list[StoredCell]]] = [(0, [])]  # by how many of the first cells may be taken
    for cell in ordered:
        before = sum(_seeds(other).stop <= _seeds(cell).start for other in ordered)
        number, chosen = best[before]
        best.append(max(best[-1], (number + len(_seeds(cell)), [*chosen, cell]), key=lambda each: each[0]))
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
    if len(cells) == 1:
        return cells[0]
    groups = {}
    for name in sorted(cells[0].groups):
        tables = [
            table.assign_coords(chain=list(_seeds(cell))) if "chain" in table.dims else table
            for cell in cells
            if (table := cell.group(name)) is not None
        ]
        shared = "chain" not in tables[0].dims
        groups[name] = tables[0] if shared else xr.concat(tables, "chain", data_vars="minimal", join="exact")
    tree = xr.DataTree.from_dict(groups)
    tree.attrs.update(cells[0].tree.attrs)
    return cells[0].with_replicates(tree, tuple(cells))
