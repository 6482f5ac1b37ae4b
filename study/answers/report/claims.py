"""Claims: the figure of every hypothesis whose evidence is there."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from study.answers.report.chapter import Chapter
from study.answers.report.overview import CaptionedFigure

log = logging.getLogger(__name__)


def claims(chapter: Chapter) -> Iterator[CaptionedFigure]:
    """The figure of each claim that has one, by number, named by its id."""
    for name, case in chapter.cases.items():
        hypothesis = case.hypothesis
        try:
            figure = case.figure()
        except Exception as error:  # of a claim of the user's own, say: the page without its figure beats no page
            log.warning(
                "the figure of %s could not be drawn (%s: %s)",
                name,
                type(error).__name__,
                error,
                exc_info=log.isEnabledFor(logging.DEBUG),
            )
            continue
        if figure is not None:
            yield CaptionedFigure(name, f"{name}: {hypothesis.claim}", figure, hypothesis.caption)
