"""`latent-study compare`: remedies by the distance of their samples to real images."""

from __future__ import annotations

from typing import Annotated

import typer

from study.answers.comparisons import comparison_text
from study.answers.formats import Comparison, Format
from study.cli.options import ResultsFolders, study_folders, terminal_width
from study.errors import say


def command(
    results: ResultsFolders = None,
    by: Annotated[
        Comparison | None, typer.Option(help="Only this comparison; csv, json and latex take quality if none is named.")
    ] = None,
    format: Annotated[Format, typer.Option(help="Format of the output.")] = Format.TABLE,
) -> None:
    """Rank remedies by level and share of the quality gap closed, and models by held-out log p(x); attribute the gap to
    mean, variances and correlations of the codes.

    Cells of several folders are compared together where nothing but the remedy differs, paired by seed. A share is left
    out where the gap is within its error; log p(x) is ranked among models of the same images in the same form alone.
    """
    say(comparison_text(study_folders(results), format, by, terminal_width()))
