"""Effects: the tables of a regression (:mod:`study.answers.regression`), kept beside the study, where the answer page
finds them."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pandas as pd

from study.answers.results import Results
from study.errors import EnvironmentFault
from study.files import own_folder, replacing
from study.paths import safe_name
from study.store import reading
from study.store.reading import Corrupt

log = logging.getLogger(__name__)

OUTCOMES = {
    "kl": "KL(q_N ‖ p), nats",
    "quality_gap": "squared Fréchet distance of prior samples less that of aggregate samples",
    "log_px": "held-out log p(x), nats",
}
"""What may be regressed, and its unit."""

COLUMNS: dict[str, type] = {
    "outcome": str, "coefficient": str, "mean": float, "lower": float, "upper": float, "positive": float,
    "replicates": int,
}  # fmt: skip
"""What the page shows of the table, with their types."""


def store_effects(table: pd.DataFrame, folder: Path, dataset: str, outcome: str) -> Path:
    """Writes the table to ``<folder>/effects/<dataset>-<outcome>.csv``, and gives that path.

    Args:
        table: as :func:`study.answers.regression.effects` gives it.
        folder: of the study whose cells it rests on.
        dataset: name of the data set.
        outcome: what was regressed.

    Raises:
        EnvironmentFault: if the file cannot be written.
    """
    path = folder / "effects" / f"{safe_name(dataset)}-{outcome}.csv"
    try:
        own_folder(path.parent)
        with replacing(path) as aside:
            table.to_csv(aside, index=False)
    except OSError as error:
        raise EnvironmentFault(f"cannot write {path}: {error.strerror or error}") from error
    return path


def stored_effects(results: Results, dataset: str) -> pd.DataFrame:
    """The tables of ``dataset`` that :func:`store_effects` left beside the studies of ``results``, one after another;
    empty where none is there. One that is not as it was stored is named in the log.
    """
    folders = dict.fromkeys(cell.store.root for cell in results)
    paths = [folder / "effects" / f"{safe_name(dataset)}-{outcome}.csv" for folder in folders for outcome in OUTCOMES]
    tables = []
    for path in paths:
        if os.path.lexists(path):
            try:
                tables.append(_checked(reading.table(path, COLUMNS), path))
            except Corrupt as error:
                log.warning("left out: %s: %s", path, error)
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _checked(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    if not set(table["outcome"]) <= OUTCOMES.keys():
        raise Corrupt(f"{path.name} has an outcome that is not known")
    return table
