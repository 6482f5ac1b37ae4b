"""`latent-study list`: what a study can be made of."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console

from study.cli.options import WIDTH
from study.design.catalogue import catalogue


def command(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[presets|priors|posteriors|likelihoods|networks|objectives|datasets|densities|settings]",
            help="One kind; all where none is named.",
        ),
    ] = None,
) -> None:
    """Describe what a study can be made of, with options, defaults and references."""
    Console(width=None if sys.stdout.isatty() else WIDTH).print(catalogue(what))
