"""`latent-study effects`: regression of an outcome on log D, rate, length of training and prior."""

from __future__ import annotations

from typing import Annotated

import typer

from study.answers.effects import TOGETHER, store_effects
from study.answers.formats import Format
from study.answers.regression import comparable, effects
from study.answers.results import Results
from study.answers.texts import text_of
from study.cli.options import ResultsFolders, study_folders
from study.errors import say


def command(
    results: ResultsFolders = None,
    outcome: Annotated[str, typer.Option(metavar="kl|quality_gap|log_px", help="Outcome of the regression.")] = "kl",
    draws: Annotated[int, typer.Option(min=100, max=100_000, help="Draws of each of four chains.")] = 2_000,
    format: Annotated[Format, typer.Option(help="Format of the output.")] = Format.TABLE,
) -> None:
    """Regress an outcome on log D, rate, length of training and prior over trained replicates.

    Of several data sets each is regressed alone, and then all together where some of their cells are alike.
    """
    folders = study_folders(results)
    every = Results.some(folders)
    of_datasets = every.by("dataset")
    if comparable(every):
        of_datasets[TOGETHER] = every
    for dataset, own in of_datasets.items():
        fitted = effects(own, outcome, draws)
        say(text_of(fitted.table, format))
        homes = {part.store.root for cell in own for part in cell.stored}
        store_effects(fitted, next(folder for folder in folders if folder in homes), dataset, outcome)
