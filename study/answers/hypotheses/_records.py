"""Records: single draws, images or ranks that a cell's result holds beside its estimates, as lines of a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from study.answers.hypotheses._base import NotMeasured
from study.answers.results import Results, StoredCell

OF_CELL = ("family", "key", "replicate", "dataset", "latent_dim", "updates", "length")
"""Columns that a line of a record has from the cell and replicate it belongs to."""


def having_records(results: Results, group: str) -> Results:
    """Cells of ``results`` that have the records ``group``; raises NotMeasured where none has."""
    cells = results.having(group)
    if not len(cells):
        raise NotMeasured(f"no cells have the records `{group}`")
    return cells


def record_lines(
    results: Results, lines: pd.DataFrame, group: str, columns: Mapping[str, str], **where: str
) -> pd.DataFrame:
    """The records of the cell and replicate of each of ``lines``: one line per entry.

    results: the cells whose records are read.
    lines: one for each cell and replicate, as in a table of families.
    group: of the records in a result.
    columns: by the column's name the variable of the group that it holds, one-dimensional but for ``chain`` and the
        dimensions in ``where``.
    where: which entry to take along other dimensions, ``split="train"``.

    Cells without the group have no lines.
    """
    columns_of_cell = [name for name in OF_CELL if name in lines]
    texts: list[str] = lines[columns_of_cell].select_dtypes("str").columns.tolist()
    of_cells = lines[columns_of_cell].astype(dict.fromkeys(texts, "category"))  # of millions of lines, texts are slow
    stored = {cell.key: cell for cell in results if group in cell.groups}
    having = of_cells[of_cells["key"].isin(stored)]
    if having.empty:
        return pd.DataFrame(columns=[*OF_CELL, *columns])
    values = {key: _entries(stored[key], group, tuple(columns.values()), where) for key in dict.fromkeys(having["key"])}
    places = {key: {seed: place for place, seed in enumerate(stored[key].seeds)} for key in values}
    units = list(zip(having["key"].to_numpy(), having["replicate"].to_numpy(), strict=True))
    measured = {
        name: np.concatenate([values[key][number][places[key][replicate]] for key, replicate in units])
        for number, name in enumerate(columns)
    }
    lengths = [values[key][0].shape[1] for key, _ in units]
    values.clear()  # there are millions: what they are copied to takes as much
    repeated = {name: having[name].repeat(lengths).reset_index(drop=True) for name in having}
    return pd.DataFrame(measured | repeated, copy=False)


def _entries(
    cell: StoredCell, group: str, variables: tuple[str, ...], where: Mapping[str, str]
) -> list[npt.NDArray[Any]]:
    """Records of a cell, ``(S, entries)`` for each of the variables; labels are those of every replicate."""
    found = cell.contents.values(group, *variables, *where)
    labels = dict(zip(where, (values.tolist() for _, values in found[len(variables) :]), strict=True))
    replicates = cell.contents.sizes[group]["chain"]
    taken = []
    for dims, values in found[: len(variables)]:
        entries = values[tuple(labels[dim].index(where[dim]) if dim in where else slice(None) for dim in dims)]
        left = [dim for dim in dims if dim not in where]
        repeated = np.moveaxis(entries, left.index("chain"), 0) if "chain" in left else [entries] * replicates
        taken.append(np.asarray(repeated))
    return taken
