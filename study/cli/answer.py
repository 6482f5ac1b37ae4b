"""Answer: the plain answer on the terminal and the page, which `run` and `report` both write."""

from __future__ import annotations

from pathlib import Path

from study.answers.report import Chapter, chapters, write_files, write_page
from study.answers.terminal import answer_lines, cell_table
from study.cli.options import terminal_width
from study.errors import say

PAGE = "report.html"


def print_answers(folders: list[Path], *, with_table: bool = False) -> list[Chapter]:
    """Prints the plain answer of each data set, and gives the chapters, which the page is made of too.

    folders: of studies, ``<results>/<study>`` each.
    with_table: whether the table of its cells follows.
    """
    width = terminal_width()
    found = chapters(folders)
    for chapter in found:
        say("\n".join([f"\n{chapter.dataset}", *answer_lines(chapter.conclusion, width)]))
        if with_table:
            say(f"\n{cell_table(chapter.results, width)}")
    return found


def write_report(chapters: list[Chapter], path: Path, figures: Path | None = None) -> Path:
    """Writes the page, and gives its path.

    chapters: of the page.
    path: of its file.
    figures: a folder for the figures and tables as files; None for none.
    """
    write_page(chapters, path)
    say(f"page: {path}")
    if figures is not None:
        say(f"figures and tables: {write_files(chapters, figures)}")
    return path
