"""Effects: the tables of a regression (:mod:`study.answers.regression`), kept beside the study, where the answer page
and exports find them."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from study.errors import EnvironmentFault
from study.files import own_folder, replacing
from study.paths import safe_name
from study.store.reading import Corrupt, content, reading

log = logging.getLogger(__name__)

OUTCOMES = {
    "kl": "KL(q_N ‖ p), in e-folds",
    "quality_gap": "squared Fréchet distance of prior samples less that of aggregate samples, in e-folds",
    "log_px": "held-out log p(x), nats",
}
"""Outcomes that may be regressed, with their units."""

TOGETHER = "all data sets"
"""Stands for the name of the data set in effects over several of them."""

COLUMNS: dict[str, type] = {
    "outcome": str, "coefficient": str, "mean": float, "lower": float, "upper": float, "positive": float,
    "ess": float, "r_hat": float, "replicates": int, "cells": int,
}  # fmt: skip
"""Columns of the table that the page shows, with their types."""

PIT_COLUMNS: dict[str, type] = {"level": float, "share": float, "lower": float, "upper": float}
"""Columns of the table behind the figure of leave-one-out predictions, see :func:`analysis.effects.pit_band`."""


class Effects(NamedTuple):
    """What a regression gives.

    table: coefficients in units of the outcome, one row each: ``mean``, ``lower`` and ``upper`` (95 %), the posterior
        probability ``positive`` that it is above zero with its Monte Carlo error, and effective draws and r_hat of the
        chains; ``log_dim`` is per e-fold of D, ``rate`` per e-fold of 1 + R, ``log_updates`` per e-fold of the updates.
        Below the coefficients stand the standard deviations between cells, replicates and data sets, of the bend in the
        rate, and of noise.
    pit: PIT_COLUMNS of the leave-one-out predictions.
    """

    table: pd.DataFrame
    pit: pd.DataFrame


def store_effects(fitted: Effects, folder: Path, dataset: str, outcome: str) -> Path:
    """Writes the table to ``<folder>/effects/<dataset>-<outcome>.csv``, which it gives, and that of the leave-one-out
    predictions beside it, ``-pit.csv``.

    Args:
        fitted: as :func:`study.answers.regression.effects` gives it.
        folder: of the study whose cells it rests on.
        dataset: name of the data set, or TOGETHER.
        outcome: what was regressed.

    Raises:
        EnvironmentFault: if the files cannot be written.
    """
    path, pit = _paths(folder, dataset, outcome)
    try:
        own_folder(path.parent)
        for place, table in ((path, fitted.table), (pit, fitted.pit)):
            with replacing(place) as aside:
                table.to_csv(aside, index=False)
    except OSError as error:
        raise EnvironmentFault(f"cannot write {path}: {error.strerror or error}") from error
    return path


def stored_effects(folders: Iterable[Path], dataset: str) -> list[Effects]:
    """What :func:`store_effects` left of ``dataset`` in the study ``folders``. What is not as it was stored is named in
    the log and left out.
    """
    found = []
    for path, pit in (_paths(folder, dataset, outcome) for folder in dict.fromkeys(folders) for outcome in OUTCOMES):
        if os.path.lexists(path):
            try:
                table = _checked(_read(path, COLUMNS), path)
                found.append(Effects(table, _read(pit, PIT_COLUMNS)))
            except Corrupt as error:
                log.warning("left out: %s: %s", path, error)
    return found


def _paths(folder: Path, dataset: str, outcome: str) -> tuple[Path, Path]:
    stem = f"{safe_name(dataset)}-{outcome}"
    return folder / "effects" / f"{stem}.csv", folder / "effects" / f"{stem}-pit.csv"


def _read(path: Path, columns: dict[str, type]) -> pd.DataFrame:
    """These ``columns``, of these types, of the table at ``path``; raises Corrupt."""
    with reading(path.name):
        return pd.read_csv(io.BytesIO(content(path)), usecols=list(columns), dtype=columns)


def _checked(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    if not len(table) or not set(table["outcome"]) <= OUTCOMES.keys():
        raise Corrupt(f"{path.name} has an outcome that is not known")
    return table
