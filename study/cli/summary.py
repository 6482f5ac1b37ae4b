"""`latent-study summary`: every estimate of the stored cells."""

from __future__ import annotations

from typing import Annotated

import typer

from study.answers.formats import Format
from study.answers.tables import summary_text
from study.cli.options import ResultsFolders, study_folders
from study.errors import say


def command(
    results: ResultsFolders = None,
    format: Annotated[Format, typer.Option(help="Format of the output.")] = Format.TABLE,
    var: Annotated[
        list[str] | None,
        typer.Option(
            metavar="QUANTITY", help="Only this quantity or pattern, such as kl or log_px_*; may be repeated."
        ),
    ] = None,
    by: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="One column for each value of latent_dim, prior, row, …")
    ] = None,
) -> None:
    """Tabulate estimates across latent dimensions and priors.

    Examples:

    - `latent-study summary --var kl --var rate --by latent_dim`
    - `latent-study summary --format csv`: every estimate with its error, n, draws, bound and flags
    """
    say(summary_text(study_folders(results), format, var or [], by))
