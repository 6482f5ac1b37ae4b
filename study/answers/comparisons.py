"""Comparisons: cells beside each other, as text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis.numerals import DIGITS
from study.answers.attribution import attribution
from study.answers.comparison import held_out
from study.answers.formats import Comparison, Format
from study.answers.remedies import POOLED, remedies
from study.answers.results import Results
from study.answers.texts import text_of

NOTHING = "no cells have what this compares"
"""Text in the place of a table without lines."""

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
