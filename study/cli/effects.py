"""`latent-study effects`: regression of an outcome on log D, rate and prior."""

from __future__ import annotations

from typing import Annotated

import typer

from study.answers.formats import Format
from study.cli.options import ResultsFolders, study_folders
from study.errors import say


def command(
    results: ResultsFolders = None,
    outcome: Annotated[str, typer.Option(metavar="kl|quality_gap|log_px", help="Outcome of the regression.")] = "kl",
    format: Annotated[Format, typer.Option(help="Format of the output.")] = Format.TABLE,
) -> None:
    """Regress an outcome on log D, rate and prior over trained replicates by NUTS."""
    from study.answers.effects import store_effects  # noqa: PLC0415
    from study.answers.regression import effects  # noqa: PLC0415
    from study.answers.results import Results  # noqa: PLC0415
    from study.answers.texts import text_of  # noqa: PLC0415

    folders = study_folders(results)
    for dataset, own in Results.some(folders).by("dataset").items():
        table = effects(own, outcome)
        say(text_of(table, format))
        store_effects(table, folders[0], dataset, outcome)
