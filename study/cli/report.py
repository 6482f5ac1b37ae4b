"""`latent-study report`: the answer page, and a paper's figures and tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from study.cli.answer import PAGE, print_answers, write_report
from study.cli.options import ResultsFolders, study_folders
from study.errors import ConfigurationError
from study.paths import RESULTS, is_url


def command(
    results: ResultsFolders = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File of the page; by default report.html in the first RESULTS, or its copy here.",
        ),
    ] = None,
    figures: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for figures (SVG, PDF, PNG, captions) and tables (CSV).")
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Show the page in the browser.")] = False,
) -> None:
    """Write the answer page: one self-contained HTML file with the answer, figures and tables."""
    folders = study_folders(results)
    first = (results or [str(RESULTS)])[0]
    page = (folders[0] if is_url(first) else Path(first)) / PAGE if output is None else output
    if page.is_dir():
        raise ConfigurationError(f"--output is the page's file; got the folder {page}: add a name, such as {PAGE}")
    path = write_report(print_answers(folders), page, figures)
    if open_:
        typer.launch(path.absolute().as_uri())
