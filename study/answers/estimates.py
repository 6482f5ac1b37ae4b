"""Estimates of finished cells in the order of a summary: by label, by group, and by latent dimension."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

import numpy as np

from analysis.layout import ROWS
from analysis.summaries import FIELDS, Estimates
from study.answers.results import Results, StoredCell
from study.design.labels import latent_dim
from study.store.contents import axes_of, ordered

_SINCE = "num_draws"
"""The field that results lack which were stored before it was added: estimates of images alone."""


def estimates(results: Results, names: Mapping[str, str]) -> Iterator[Estimates]:
    """Every group of estimates of every cell; where cells of a label have other rows or quantities than each other,
    these are in alphabetical order.

    results: the finished cells.
    names: the label of each by its key, see :mod:`study.design.labels`.
    """
    by_label: dict[str, list[StoredCell]] = defaultdict(list)
    for cell in sorted(results, key=lambda cell: (names[cell.key], latent_dim(cell.manifest.config))):
        by_label[names[cell.key]].append(cell)
    for label, cells in by_label.items():
        for group in ROWS:
            having = [cell for cell in cells if group in cell.groups]
            rows = {tuple(cell.tables[group].rows) for cell in having}
            quantities = {tuple(cell.tables[group].quantities) for cell in having}
            for cell in having:
                yield _estimates(cell, label, group, by_name=(len(rows) > 1, len(quantities) > 1))


def _estimates(cell: StoredCell, label: str, group: str, by_name: tuple[bool, bool]) -> Estimates:
    """A group of estimates of a cell, whose rows and quantities are ordered by their names where that is said."""
    table = cell.tables[group]
    rows, quantities = (
        sorted(names) if ordering else list(names)
        for names, ordering in zip((table.rows, table.quantities), by_name, strict=True)
    )
    fields = FIELDS if _SINCE in cell.contents.variables(group) else tuple(name for name in FIELDS if name != _SINCE)
    axes = axes_of(group)
    found = {name: ordered(each, axes) for name, each in zip(fields, cell.contents.values(group, *fields), strict=True)}
    found = {_SINCE: np.zeros(table.value.shape, np.int64)} | found
    if any(by_name):
        places = np.ix_([table.rows[name] for name in rows], [table.quantities[name] for name in quantities])
        found = {name: values[:, *places] for name, values in found.items()}
    return Estimates(label, latent_dim(cell.manifest.config), group, rows, quantities, found)
