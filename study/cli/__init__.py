"""Command line: `latent-study VERB`, a verb for each file of this folder that VERBS names.

A verb is one file whose function `command` declares its options and their help. The work itself is done by another
subpackage, which the function imports when it is called, so that help, `status` and `list` answer without waiting
seconds for torch, pandas or xarray.
"""

from __future__ import annotations

import importlib.metadata
import sys
from importlib import import_module
from typing import Annotated

import typer

from study.cli.signals import interruptible
from study.errors import reported

VERBS = ("run", "status", "summary", "compare", "effects", "verdict", "report", "export", "diagnose", "list")
"""In the order in which a user meets them."""

app = typer.Typer(
    help="Why does a VAE reconstruct well and sample badly, and what fixes it? Studies across the latent dimension.",
    epilog="Exit codes: 2 configuration, 3 data, 4 environment, 5 partial results, 129, 130 and 143 stopped by a "
    "signal. With `--debug`, an error shows its traceback.",
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        typer.echo(importlib.metadata.version("latent-study"))
        raise typer.Exit


for _verb in VERBS:
    app.command(_verb)(import_module(f"study.cli.{_verb}").command)


def main(arguments: list[str] | None = None) -> int:
    """Exit code of the command line; an error that a user can act on is one sentence on stderr.

    arguments: what a program gives in place of ``sys.argv``; None where the process ends with the command.
    """

    def command() -> int:
        words = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
        plain = [word for word in words if word != "--debug"]
        return reported(lambda: app(plain, prog_name="latent-study", standalone_mode=False), debug=plain != words)

    return interruptible(command, returns=arguments is not None)
