"""Synthetic worlds: real cells in real stores, whose results say what a test wants them to say.

A *truth* maps a cell and the index of a replicate to numbers, ``{"group/row/quantity": value}``, and to records,
``{"group": xr.Dataset}``. The cells are those that a hypothesis names in its ``needs``.
"""

import shlex
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
import xarray as xr

from analysis.layout import ROWS
from study.answers.results import Results, StoredCell
from study.design.cell import Cell
from study.design.study import Study
from study.store.contents import Held
from study.store.manifest import Manifest
from study.store.store import Store

Truth = Callable[[Cell, int], tuple[dict[str, float], dict[str, xr.Dataset]]]


def study_of(command: str) -> Study:
    """The study of ``latent-study run …``."""
    source, *assignments = shlex.split(command.removeprefix("latent-study run "))
    return Study.load(source).override(assignments)


@dataclass
class Result:
    tree: xr.DataTree
    weights: dict = field(default_factory=lambda: {"0/w": torch.ones(1)})
    details: dict = field(default_factory=dict)


def tree(cell: Cell, truth: Truth) -> xr.DataTree:
    """The tree of a cell in which ``truth`` holds, but for a thousandth of noise over seeds."""
    noise = np.random.default_rng(cell.latent_dim)
    replicates = [truth(cell, replicate) for replicate in range(cell.seeds)]
    tables: dict[str, dict[tuple[str, str], list[float]]] = defaultdict(dict)
    for name in replicates[0][0]:
        group, row, quantity = name.split("/")
        jitter = 1 + 1e-3 * noise.standard_normal(cell.seeds)
        tables[group][row, quantity] = [numbers[name] * by for (numbers, _), by in zip(replicates, jitter, strict=True)]
    groups = {group: _estimates(ROWS[group], values) for group, values in tables.items()}
    records = {
        name: xr.concat([kept[name] for _, kept in replicates], "chain").assign_coords(chain=range(cell.seeds))
        for name in replicates[0][1]
    }
    return xr.DataTree.from_dict({"/": xr.Dataset()} | {f"/{n}": d for n, d in (groups | records).items()})


def _estimates(dim: str, values: dict[tuple[str, str], list[float]]) -> xr.Dataset:
    rows = list(dict.fromkeys(row for row, _ in values))
    quantities = list(dict.fromkeys(quantity for _, quantity in values))
    seeds = len(next(iter(values.values())))
    table = np.full((seeds, len(rows), len(quantities)), np.nan)
    for (row, quantity), found in values.items():
        table[:, rows.index(row), quantities.index(quantity)] = found
    dims = ("chain", dim, "quantity")
    fields = {"value": table, "standard_error": np.abs(table) / 100, "n": np.full(table.shape, 100)}
    texts = {"bound": np.full(table.shape, "unbiased"), "flags": np.full(table.shape, "")}
    coords = {"chain": range(seeds), dim: rows, "quantity": quantities}
    return xr.Dataset({name: (dims, value) for name, value in (fields | texts).items()}, coords)


@dataclass
class Memory:
    """A store that holds trees by key and no files."""

    trees: dict[str, xr.DataTree]

    def read(self, key: str) -> xr.DataTree:
        return self.trees[key]


@pytest.fixture
def stored(tmp_path):
    """Stores the cells of a study with results in which a truth holds, and gives these results."""

    def build(study: Study, truth: Truth) -> Results:
        store = Store(tmp_path / "results" / study.name)
        for cell in study.cells():
            with store.lock(cell.key, wait=False):
                store.begin(cell, images="")
                store.publish(cell, Result(tree(cell, truth)), images="", device="cpu", seconds=0.0, command="")
        return Results.load(sorted(path.parent for path in (tmp_path / "results").glob("*/cells")))

    return build


def remembered(study: Study, truth: Truth) -> Results:
    """The results that such a world would have, without its files: they take most of the time."""
    cells = {cell.key: cell for cell in study.cells()}
    memory = Memory({key: tree(cell, truth) for key, cell in cells.items()})
    known: dict = {"images": "", "details": {}, "seconds": 60.0}
    manifests = [
        Manifest.model_construct(key=key, config=cell.config(), **known) for key, cell in sorted(cells.items())
    ]
    return Results(
        tuple(StoredCell("made", memory, manifest, Held(memory.read(manifest.key))) for manifest in manifests)
    )
