"""`latent-study export`: finished cells without their weights."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from study.cli.options import study_folders
from study.errors import say_line
from study.store.export import export_studies
from study.store.target import target_of

log = logging.getLogger(__name__)


def command(
    results: Annotated[str, typer.Argument(metavar="RESULTS", help="Results folder or URL, or one study's in it.")],
    target: Annotated[
        str, typer.Argument(metavar="DIR|URL", help="Where to write to; cells that are there already stay.")
    ],
    estimates: Annotated[
        bool, typer.Option("--estimates", help="Without pictures and single draws, on which no answer rests.")
    ] = False,
) -> None:
    """Write finished cells without weights and checkpoints, small enough to be sent and put together.

    Tables that `latent-study effects` kept go with them.

    Commands that read results read exports too, and join several of them, such as those of several machines.

    - `latent-study export results exports/monday`
    - `latent-study export results exports/small --estimates`
    - `latent-study verdict exports/monday exports/tuesday`
    """
    folders = study_folders([results])
    targets = [target_of(target, folder.resolve().name) for folder in folders]
    done = export_studies(folders, [each.store for each in targets], estimates=estimates)
    for place, reason in done.left_out.items():
        log.warning("left out: %s: %s", place, reason)
    for each in targets:
        each.publish()
    say_line(f"{done.cells} cells, {done.size / 1e6:.1f} MB without weights: {target}")
