"""`latent-study export`: finished cells without their weights."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from study.errors import say_line
from study.paths import studies
from study.store.export import export_studies

log = logging.getLogger(__name__)


def command(
    results: Annotated[Path, typer.Argument(metavar="RESULTS", help="Results folder, or one study's in it.")],
    target: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder to write to; cells that are there already stay.")
    ],
) -> None:
    """Write finished cells without weights and checkpoints, small enough to be sent and put together.

    Tables that `latent-study effects` kept go with them.

    Commands that read results read exports too, and join several of them, such as those of several machines.

    - `latent-study export results exports/monday`
    - `latent-study verdict exports/monday exports/tuesday`
    """
    done = export_studies(studies(results), target)
    for place, reason in done.left_out.items():
        log.warning("left out: %s: %s", place, reason)
    say_line(f"{done.cells} cells, {done.size / 1e6:.1f} MB without weights: {target}")
