"""Tables: what was found as text: columns to read, or CSV, JSON and LaTeX to go on with."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from study.errors import ConfigurationError

if TYPE_CHECKING:
    import pandas as pd


class Format(StrEnum):
    """How a table is written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    LATEX = "latex"


def summarised(folders: Sequence[Path], format: Format, patterns: Sequence[str] = (), by: str | None = None) -> str:
    """The summary of studies: quantities that match ``patterns``, all if there are none, with one column per value of
    ``by``; as a table to read and with neither, the overview.

    Raises:
        ConfigurationError: if no cell is finished, a pattern matches nothing, or ``by`` is no column.
    """
    import pandas as pd  # noqa: PLC0415

    from analysis.summaries import overview, select, spread, summary  # noqa: PLC0415
    from study.store.store import Store  # noqa: PLC0415

    glance = format is Format.TABLE and not (patterns or by)
    tables = []
    for folder in folders:
        trees = Store(folder).load()
        if trees:
            table = overview(trees) if glance else summary(trees)
            table.insert(0, "study", folder.name)
            tables.append(table)
    if not tables:
        raise ConfigurationError(f"no finished cell in {folders[0]}; `latent-study status` tells where each stands")
    joined = pd.concat(tables, ignore_index=True)
    try:
        chosen = select(joined, patterns) if patterns else joined
        return written(spread(chosen, by) if by else chosen, format)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


class Comparison(StrEnum):
    """What cells are compared by."""

    QUALITY = "quality"
    LOG_PX = "log_px"


def compared(folders: Sequence[Path], format: Format, by: Comparison | None = None) -> str:
    """Remedies ranked by the share of the quality gap that they close, and cells by held-out log p(x): both, under
    their titles, in a table to read; one, by default the first, in a format to go on with.

    Raises:
        ConfigurationError: if no cell is finished.
    """
    import pandas as pd  # noqa: PLC0415

    from study.answers.comparison import held_out  # noqa: PLC0415
    from study.answers.remedies import POOLED, remedies  # noqa: PLC0415
    from study.answers.results import Results  # noqa: PLC0415

    groups = Results.load(folders).by("dataset")
    if not groups:
        raise ConfigurationError(f"no finished cell in {folders[0]}; `latent-study status` tells where each stands")
    makers = {
        Comparison.QUALITY: ("share of the quality gap closed", remedies),
        Comparison.LOG_PX: ("held-out log p(x)", held_out),
    }
    wanted = [by] if by else list(Comparison) if format is Format.TABLE else [Comparison.QUALITY]
    texts = []
    for name in wanted:
        title, make = makers[name]
        table = pd.concat([make(own).assign(dataset=dataset) for dataset, own in groups.items()], ignore_index=True)
        table["latent_dim"] = ["all" if dim == POOLED else dim for dim in table["latent_dim"]]
        texts.append(f"{title}\n{written(table, format)}" if format is Format.TABLE else written(table, format))
    return "\n\n".join(texts)


def written(table: pd.DataFrame, format: Format) -> str:
    """The table as text, without the last line's end."""
    match format:
        case Format.TABLE:
            text = table.to_string(index=False, float_format="{:.6g}".format)
        case Format.CSV:
            text = table.to_csv(index=False)
        case Format.JSON:
            text = table.to_json(orient="records", indent=2, force_ascii=False)
        case Format.LATEX:
            from analysis.summaries import latex  # noqa: PLC0415

            text = latex(table)
    return text.rstrip("\n")
