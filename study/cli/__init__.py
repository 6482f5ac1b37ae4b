"""Command line: `latent-study VERB`, a verb for each file of this folder that VERBS names.

A verb is one file whose function `command` declares its options and their help. The file is imported when the verb is
called, so that the list of all verbs, `status` and `list` answer without waiting seconds for torch, pandas or xarray;
what the list says of a verb is the docstring of `command`, which is read from the file without running it.
"""

from __future__ import annotations

import ast
import importlib.metadata
import os
import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, override

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from study.cli.ending import Ending
from study.cli.signals import interruptible
from study.errors import ConfigurationError, reported

VERBS = (
    "run",
    "plan",
    "script",
    "status",
    "gather",
    "verify",
    "summary",
    "compare",
    "effects",
    "verdict",
    "report",
    "export",
    "diagnose",
    "list",
)
"""In the order in which a user meets them."""

LOOK: dict[str, Any] = {
    "add_completion": False,
    "rich_markup_mode": "markdown",
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}
"""How help is shown, and errors are not, of all verbs together and of each."""


def verb_command(verb: str) -> TyperCommand:
    """The command of a ``verb``, one of VERBS, with its options; imports what it needs for its work."""
    alone = typer.Typer(**LOOK)
    alone.command(verb)(import_module(f"study.cli.{verb}").command)
    command = get_command(alone)
    assert isinstance(command, TyperCommand)
    return command


def _help(verb: str) -> str:
    """The docstring of a verb's function, from its source."""
    source = ast.parse(Path(__file__).with_name(f"{verb}.py").read_text("utf-8"))
    functions = [node for node in source.body if isinstance(node, ast.FunctionDef) and node.name == "command"]
    return ast.get_docstring(functions[0]) or ""


class _Verbs(TyperGroup):
    """Verbs by name and help, of which the one that is called becomes the command itself."""

    @override
    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        verb, listed, rest = super().resolve_command(ctx, args)
        return verb, listed if verb is None else verb_command(verb), rest


app = typer.Typer(
    cls=_Verbs,
    help="Why does a VAE reconstruct well and sample badly, and what fixes it? Studies across the latent dimension.",
    epilog="Exit codes: 2 configuration, 3 data, 4 environment, 5 partial results, 129, 130 and 143 stopped by a "
    "signal. With `--debug`, an error shows its traceback.",
    **LOOK,
)


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        typer.echo(importlib.metadata.version("latent-study"))
        raise typer.Exit


for _verb in VERBS:
    app.command(_verb, help=_help(_verb))(lambda: None)


def _called(words: list[str]) -> int | None:
    empty = [place for place, word in enumerate(words) if not word or (word.startswith("--") and word.endswith("="))]
    if empty:
        before = words[empty[0] - 1] if empty[0] else ""
        after = f" after {before}" if before.startswith("--") else ""
        raise ConfigurationError(
            f"expected words that say something; got {words[empty[0]]!r}{after}, as where a variable is not set: give "
            "it a value, or leave it out"
        )
    if "matplotlib" not in sys.modules:
        os.environ["MPLBACKEND"] = "agg"  # figures are written to files, whatever would show them
    code: int | None = app(
        words if any(word != "--" for word in words) else ["--help"],
        prog_name="latent-study",
        standalone_mode=False,
        obj=words,
    )
    return code


def main(arguments: list[str] | None = None) -> int:
    """Exit code of the command line; an error that a user can act on is one sentence on stderr.

    arguments: what a program gives in place of ``sys.argv``; None where the process ends with the command.
    """

    def command() -> int:
        words = sys.argv[1:] if arguments is None else arguments
        plain = [word for word in words if word != "--debug"]
        return reported(lambda: _called(plain), debug=plain != words)

    if arguments is not None:
        return interruptible(command, returns=True)
    if not sys.warnoptions:
        warnings.simplefilter("ignore", RuntimeWarning)  # of numbers within libraries: answers tell what is no number
    ending = Ending()
    ending.code = interruptible(command, returns=False)
    return ending.code
