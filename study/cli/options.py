"""Options: what several verbs ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

WIDTH = 160
"""Columns of a table that goes to a file or a pipe."""

ResultsFolder = Annotated[Path, typer.Argument(metavar="[RESULTS]", help="Results folder, or one study's in it.")]
