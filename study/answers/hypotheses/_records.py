"""Records: single draws, images or ranks that a cell's result holds beside its estimates, as lines of a table."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from study.answers.hypotheses._base import MissingCells
from study.answers.results import Results

OF_CELL = ("family", "key", "replicate", "dataset", "latent_dim", "updates", "length")
"""Columns that a line of a record has from the cell and replicate it belongs to."""


def having_records(results: Results, group: str) -> Results:
    """Cells of ``results`` that have the records ``group``; raises MissingCells where none has."""
    cells = results.having(group)
    if not len(cells):
        raise MissingCells(f"no cells whose results have the records {group!r}")
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
    stored = {cell.key: record for cell in results if (record := cell.group(group)) is not None}
    parts = []
    for line in lines[[name for name in OF_CELL if name in lines]].to_dict("records"):
        if line["key"] in stored:
            record = stored[line["key"]].isel(chain=line["replicate"]).sel(where)
            entries = pd.DataFrame({name: record[variable].values for name, variable in columns.items()})
            parts.append(entries.assign(**{str(name): value for name, value in line.items()}))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[*OF_CELL, *columns])
