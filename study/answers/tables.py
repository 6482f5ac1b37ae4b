"""Tables: the summary of every estimate of studies, as text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis.summaries import overview, select, spread, summary
from study.answers.estimates import estimates
from study.answers.formats import Format
from study.answers.results import Results, check_some
from study.answers.texts import text_of
from study.design.labels import labels
from study.errors import ConfigurationError


def summary_text(folders: Sequence[Path], format: Format, patterns: Sequence[str] = (), by: str | None = None) -> str:
    """The summary of studies; as a table to read and with neither patterns nor ``by``, the overview.

    folders: those of the studies; those of one name, as from several machines, are one study.
    format: how it is written.
    patterns: names of quantities, ``*`` standing for anything; all where there are none.
    by: a column that gets one column for each of its values.

    Raises:
        ConfigurationError: if no cell is finished, a pattern matches nothing, or ``by`` is no column.
    """
    at_a_glance = format is Format.TABLE and not (patterns or by)
    by_name: dict[str, list[Path]] = defaultdict(list)
    for folder in folders:
        by_name[folder.resolve().name].append(folder)
    studies = {name: Results.load(parts) for name, parts in by_name.items()}
    check_some(studies.values(), folders)
    tables = []
    for name, cells in studies.items():
        if len(cells):
            names = labels({cell.key: cell.manifest.config for cell in cells})
            table = (overview if at_a_glance else summary)(estimates(cells, names))
            table.insert(0, "study", name)
            tables.append(table)
    joined = pd.concat(tables, ignore_index=True)
    try:
        chosen = select(joined, patterns) if patterns else joined
        return text_of(spread(chosen, by) if by else chosen, format)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
