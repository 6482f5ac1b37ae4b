"""`latent-study report`: the answer page, and a paper's figures and tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from study.cli.answer import PAGE, print_answers, write_report
from study.cli.options import ResultsFolders, study_folders
from study.errors import ConfigurationError
from study.paths import RESULTS


def command(
    results: ResultsFolders = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where; report.html in the first RESULTS if not.")
    ] = None,
    figures: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Figures (SVG, PDF, PNG, captions) and tables (CSV) as files.")
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
) -> None:
    """Write the answer page: one HTML file to look, compare and trust, without network."""
    folders = study_folders(results)
    page = (results or [RESULTS])[0] / PAGE if output is None else output
    if page.is_dir():
        raise ConfigurationError(f"--output is the page's file; got the folder {page}: add a name, such as {PAGE}")
    path = write_report(print_answers(folders), page, figures)
    if open_:
        typer.launch(path.absolute().as_uri())
