"""Answer: the plain answer on the terminal and the page, which `run` and `report` both write."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from study.errors import say

PAGE = "report.html"


def print_answers(folders: list[Path], *, with_table: bool = False) -> None:
    """The plain answer of each data set, and the table of its cells where that is wanted."""
    from study.answers.report import chapters  # noqa: PLC0415
    from study.answers.terminal import WIDEST, answer_lines, cell_table  # noqa: PLC0415

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDEST
    for chapter in chapters(folders):
        say("\n".join([f"\n{chapter.dataset}", *answer_lines(chapter.conclusion, width)]))
        if with_table:
            say(f"\n{cell_table(chapter.results, chapter.labels, width)}")


def write_report(folders: list[Path], path: Path, figures: Path | None = None) -> Path:
    """The page, and the files where a folder for them is named."""
    from study.answers.report import chapters, write_files, write_page  # noqa: PLC0415

    found = chapters(folders)
    write_page(found, path)
    say(f"page: {path}")
    if figures is not None:
        say(f"figures and tables: {write_files(found, figures)}")
    return path
