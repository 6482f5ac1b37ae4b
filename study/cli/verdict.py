"""`latent-study verdict`: each hypothesis decided."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from study.answers.formats import Format
from study.cli.options import WIDTH
from study.errors import say
from study.paths import RESULTS, studies


def command(
    results: Annotated[list[Path] | None, typer.Argument(metavar="[RESULTS…]", help="Results folders.")] = None,
    format: Annotated[Format, typer.Option(help="How to write it.")] = Format.TABLE,
) -> None:
    """Decide every hypothesis: supported, refuted or undecided; `--format csv` has the effects, and what is missing."""
    from study.answers.verdicts import verdict_text  # noqa: PLC0415

    folders = [folder for place in results or [RESULTS] for folder in studies(place)]
    say(verdict_text(folders, format, None if sys.stdout.isatty() else WIDTH))
