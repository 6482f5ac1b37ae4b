"""`latent-study summary`: every estimate of the stored cells."""

from __future__ import annotations

from typing import Annotated

import typer

from study.answers.formats import Format
from study.cli.options import ResultsFolders, study_folders
from study.errors import say


def command(
    results: ResultsFolders = None,
    format: Annotated[Format, typer.Option(help="How to write it.")] = Format.TABLE,
    var: Annotated[
        list[str] | None, typer.Option(metavar="QUANTITY", help="Only these, repeated or as a pattern: kl, log_px_*.")
    ] = None,
    by: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="One column per value of it: latent_dim, prior, row, …")
    ] = None,
) -> None:
    """Tabulate what was found, across latent dimensions and priors.

    Examples:

    - `latent-study summary --var kl --var rate --by latent_dim`
    - `latent-study summary --format csv`: every estimate with its error, n, draws, bound and flags
    """
    from study.answers.tables import summary_text  # noqa: PLC0415

    say(summary_text(study_folders(results), format, var or [], by))
