"""`latent-study verdict`: each hypothesis decided."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from study.answers.formats import Format
from study.answers.verdicts import verdict_text
from study.cli.options import WIDTH, ResultsFolders, study_folders
from study.errors import say


def command(
    results: ResultsFolders = None,
    format: Annotated[Format, typer.Option(help="Format of the output.")] = Format.TABLE,
) -> None:
    """Decide every hypothesis, say how surely, and which runs would decide what is undecided; `--format csv` has all.

    Supported, refuted (the opposite is shown), not supported (less than the least effect that counts) or undecided. Six
    claims are primary, and their p-values adjusted for each other; checks are true by construction; the rest explores.
    """
    say(verdict_text(study_folders(results), format, None if sys.stdout.isatty() else WIDTH))
