"""`latent-study compare`: remedies by the share of the quality gap that they close."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from study.answers.formats import Comparison, Format
from study.errors import say
from study.paths import RESULTS, studies


def command(
    results: Annotated[list[Path] | None, typer.Argument(metavar="[RESULTS…]", help="Results folders.")] = None,
    by: Annotated[Comparison | None, typer.Option(help="One of the two; csv, json and latex write the first.")] = None,
    format: Annotated[Format, typer.Option(help="How to write it.")] = Format.TABLE,
) -> None:
    """Rank remedies by the share of the quality gap that they close, and models by held-out log p(x).

    Cells of several folders are compared together where nothing but the remedy differs, paired by seed.
    """
    from study.answers.tables import comparison_text  # noqa: PLC0415

    folders = [folder for place in results or [RESULTS] for folder in studies(place)]
    say(comparison_text(folders, format, by))
