"""Options: what several verbs ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from study.paths import RESULTS, studies

WIDTH = 160
"""Columns of a table that goes to a file or a pipe."""

ResultsFolders = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[RESULTS…]", help="Results folders, exports, or one study's in them; several are joined."),
]


def study_folders(results: list[Path] | None) -> list[Path]:
    """The folders of the studies in ``results``, one after another; in RESULTS where none is named.

    Raises ConfigurationError where one of them has no study.
    """
    return [folder for place in results or [RESULTS] for folder in studies(place)]
