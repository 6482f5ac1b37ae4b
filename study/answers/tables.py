"""Tables: what studies found, as text: the summary of every estimate, and cells compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis.numerals import DIGITS
from analysis.summaries import overview, select, spread, summary
from study.answers.attribution import attribution
from study.answers.comparison import held_out
from study.answers.formats import Comparison, Format
from study.answers.remedies import POOLED, remedies
from study.answers.results import Results, check_some
from study.answers.texts import text_of
from study.errors import ConfigurationError
from study.store.merge import merge


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
            trees = merge({cell.key: (cell.manifest.config, cell.tree) for cell in cells})
            table = overview(trees) if at_a_glance else summary(trees)
            table.insert(0, "study", name)
            tables.append(table)
    joined = pd.concat(tables, ignore_index=True)
    try:
        chosen = select(joined, patterns) if patterns else joined
        return text_of(spread(chosen, by) if by else chosen, format)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


NOTHING = "no cells have what this compares"
"""What stands in the place of a table without lines."""

_DIGITS = {Comparison.QUALITY: DIGITS, Comparison.LOG_PX: 6, Comparison.MOMENTS: DIGITS}
"""Sums of log p(x) over images are large, and their differences small."""


def comparison_text(folders: Sequence[Path], format: Format, by: Comparison | None = None) -> str:
    """Remedies ranked by their level, cells by held-out log p(x), and what moments of the codes each close.

    folders: those of the studies.
    format: a table to read has all of them under their titles; another format has one, by default the first.
    by: one of these.

    Raises:
        ConfigurationError: if no cell is finished.
    """
    groups = Results.some(folders).by("dataset")
    makers = {
        Comparison.QUALITY: ("share of the quality gap closed", remedies),
        Comparison.LOG_PX: ("held-out log p(x)", held_out),
        Comparison.MOMENTS: ("distance closed by moments of the codes, and by each as first and as last", attribution),
    }
    wanted = [by] if by else list(Comparison) if format is Format.TABLE else [Comparison.QUALITY]
    texts = []
    for name in wanted:
        title, make = makers[name]
        table = pd.concat([make(part).assign(dataset=dataset) for dataset, part in groups.items()], ignore_index=True)
        table["latent_dim"] = ["all" if dim == POOLED else dim for dim in table["latent_dim"]]
        text = NOTHING if format is Format.TABLE and table.empty else text_of(table, format, _DIGITS[name])
        texts.append(f"{title}\n{text}" if format is Format.TABLE else text)
    return "\n\n".join(texts)
