"""Files: the page's figures and tables as files for a paper: each claim's figure as SVG, PDF and PNG with its caption,
and every table as CSV, under one folder per data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd

from analysis.plots import PAPER
from study.answers.report.chapter import Chapter
from study.answers.report.claims import claims
from study.answers.report.overview import CaptionedFigure, along_training, estimates, headline, information, remedies
from study.answers.verdicts import case_table
from study.errors import EnvironmentFault
from study.files import own_folder, replacing
from study.paths import safe_name

PNG_DPI = 200
_SAVED: dict[Any, Any] = {"svg.fonttype": "path", "svg.hashsalt": "latent-study", "pdf.fonttype": 42}


def write_files(chapters: Sequence[Chapter], folder: Path) -> Path:
    """Writes the figures and tables of ``chapters`` under ``folder``/<data set>, with captions in ``captions.txt``.

    Raises:
        EnvironmentFault: if one cannot be written.
    """
    try:
        for chapter in chapters:
            _write(chapter, folder / safe_name(chapter.dataset))
    except OSError as error:
        raise EnvironmentFault(f"cannot write in {folder}: {error.strerror or error}; choose another folder") from error
    return folder


def _write(chapter: Chapter, folder: Path) -> None:
    own_folder(folder)
    captions = []
    for each in _figures(chapter):
        with matplotlib.rc_context(_SAVED):
            for kind in ("svg", "pdf", "png"):
                undated = {} if kind == "png" else {"Date" if kind == "svg" else "CreationDate": None}
                with replacing(folder / f"{each.name}.{kind}") as aside:
                    each.figure.savefig(aside, dpi=PNG_DPI, facecolor=PAPER, metadata=undated)
        captions.append(f"{each.name}\n{each.title}. {each.caption}\n")
    with replacing(folder / "captions.txt") as aside:
        aside.write_text("\n".join(captions), "utf-8")
    for name, table in _tables(chapter).items():
        with replacing(folder / f"{name}.csv") as aside:
            table.to_csv(aside, index=False)


def _figures(chapter: Chapter) -> Iterator[CaptionedFigure]:
    sections = (headline, information, estimates, along_training, remedies, claims)
    return chain.from_iterable(section(chapter) for section in sections)


def _tables(chapter: Chapter) -> dict[str, pd.DataFrame]:
    verdicts = case_table(chapter.cases.values())
    return {"numbers": chapter.numbers, "remedies": chapter.remedies, "verdicts": verdicts}
