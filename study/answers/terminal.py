"""Terminal: the plain answer in some fifteen lines, and a table of the cells that fits the width there is."""

from __future__ import annotations

from analysis.interval import Interval
from analysis.numerals import NONE
from analysis.summaries import over_seeds
from study.answers.conclusions import Conclusion, Part
from study.answers.conclusions.levels import difference, level
from study.answers.conclusions.repair import best, repairs
from study.answers.listing import Row, columns_in, listing, with_error, wrapped
from study.answers.results import Results, StoredCell
from study.design.labels import labels

LINES = {"Model": 2, "What happens": 3, "Why": 2, "What helps": 3, "How sure": 2}
"""Lines of each part of the answer up to which statements follow its first, which is there whatever it takes."""

_HEADS = ("prior", "D", "rate", "error", "F prior", "F aggregate", "F repaired", "gap")
EXPLAINED = (
    "D: latent dimensions, or the shape of a map; rate: nats per image; error: held-out squared error per pixel; F: "
    "squared Fréchet distance to real images; gap: F prior less F aggregate. Means over trainings ± their standard "
    "error; of a single training, ± that of its evaluation."
)


def answer_lines(conclusion: Conclusion, width: int) -> list[str]:
    """The answer, a part after the other: of each the first statement, and those of the others for which there is room.

    Args:
        conclusion: the answer.
        width: columns of the terminal.
    """
    columns = columns_in(width)
    shown = [conclusion.phenomenon.shown] if conclusion.phenomenon else []
    return [line for part in (*shown, *conclusion.parts) for line in _lines(part, columns)]


def _lines(part: Part, columns: int) -> list[str]:
    """Whole statements alone, so that no number is lost."""
    lines: list[str] = []
    taken = f"{part.title}:"
    for statement in part.statements:
        longer = wrapped(f"{taken} {statement}", columns)
        if not lines or len(longer) <= LINES[part.title]:
            lines, taken = longer, f"{taken} {statement}"
    return lines


def cell_table(results: Results, width: int) -> str:
    """A line or more per cell: its label, which goes on below, and the numbers that tell the story.

    results: cells of one data set.
    width: columns of the terminal; where they are too few for standard errors, means alone are shown.
    """
    named = labels({cell.key: cell.manifest.config for cell in results}, latent=False)
    cells = sorted(results, key=lambda cell: (named[cell.key], cell.settings["latent_dim"]))
    rows = [Row(named[cell.key], [cell.settings["latent"], *_numbers(cell, results)]) for cell in cells]
    return listing(_HEADS, {"": rows}, EXPLAINED, width)


def _numbers(cell: StoredCell, results: Results) -> list[str]:
    prior, aggregate = level(cell, "prior"), level(cell, "aggregate_train")
    repair = best(repairs(results, cell))
    means: list[Interval | None] = [
        _mean(cell, "aggregate/train/rate"),
        _mean(cell, "aggregate/held_out/reconstruction_error"),
        prior.mean if prior else None,
        aggregate.mean if aggregate else None,
        repair.level.mean if repair else None,
        difference(prior, aggregate) if prior and aggregate else None,
    ]
    return [with_error(mean.value, mean.standard_error) if mean else NONE for mean in means]


def _mean(cell: StoredCell, estimate: str) -> Interval | None:
    numbers = cell.numbers(estimate)
    return None if numbers is None else over_seeds(*numbers.T)
