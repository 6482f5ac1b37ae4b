"""Claims: every hypothesis with its verdict, and the figure that shows it."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from typing import NamedTuple

from study.answers.hypotheses import MissingCells, Verdict
from study.answers.report.chapter import Chapter
from study.answers.report.overview import Drawn, caption
from study.answers.report.picture import Picture

log = logging.getLogger(__name__)


class Claim(NamedTuple):
    """A hypothesis as the page shows it; without its cells it has no picture, and ``needs`` says how to get them."""

    id: str
    claim: str
    needs: str
    verdict: Verdict
    effect: str
    picture: Picture | None


def claims(chapter: Chapter) -> list[Claim]:
    """Every claim, by number."""
    drawn = {each.name: each.picture() for each in figures(chapter)}
    return [
        Claim(name, each.claim, each.needs, verdict, _effect(verdict), drawn.get(name))
        for name, each in chapter.hypotheses.items()
        for verdict in (chapter.verdicts[name],)
    ]


def figures(chapter: Chapter) -> Iterator[Drawn]:
    """The figure of each claim whose cells are there, named by its id."""
    for name, each in chapter.hypotheses.items():
        try:
            figure = each.draw(chapter.results)
        except MissingCells:
            continue
        except Exception as error:  # of a claim of the user's own, say: the page without its figure beats no page
            log.warning(
                "the figure of %s could not be drawn (%s: %s)",
                name,
                type(error).__name__,
                error,
                exc_info=log.isEnabledFor(logging.DEBUG),
            )
            continue
        yield Drawn(name, f"{name}: {each.claim}", figure, caption(each.draw))


def _effect(verdict: Verdict) -> str:
    """``effect: value [lower, upper]``; empty without a value, or where the reason has told it."""
    if not math.isfinite(verdict.value) or verdict.why.startswith(verdict.effect):
        return ""
    lower, upper = verdict.interval
    interval = f" [{lower:.3g}, {upper:.3g}]" if math.isfinite(lower) and math.isfinite(upper) else ""
    return f"{verdict.effect}: {verdict.value:.3g}{interval}"
