"""Terminal: the plain answer in at most ten lines, and a table of the cells that fits the width there is."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import replace

from analysis.interval import Interval
from analysis.numerals import NONE
from analysis.summaries import over_seeds
from study.answers.conclusions import Conclusion, Part, Statement
from study.answers.conclusions.levels import difference, level
from study.answers.conclusions.repair import best, repairs
from study.answers.listing import Row, columns_in, listing, with_error
from study.answers.results import Results, StoredCell

LINES = {"What happens": 3, "Why": 2, "What helps": 3, "How sure": 2}
"""Lines that each part of the answer may take."""

_HEADS = ("prior", "D", "rate", "error", "F prior", "F aggregate", "F repaired", "gap")
EXPLAINED = (
    "D: latent dimensions; rate: nats per image; error: held-out squared error per pixel; F: squared Fréchet distance "
    "to real images; gap: F prior less F aggregate. Means over trainings ± their standard error; of a single "
    "training, ± that of its evaluation."
)


def answer_lines(conclusion: Conclusion, width: int) -> list[str]:
    """The answer, a part after the other: of each as many statements, from the first, as its lines hold.

    Args:
        conclusion: the answer.
        width: columns of the terminal.
    """
    columns = columns_in(width)
    return [line for part in conclusion.parts for line in _lines(part, columns)]


def _lines(part: Part, columns: int) -> list[str]:
    def wrapped(text: str) -> list[str]:
        whole = f"{part.title}: {text}"
        return textwrap.wrap(whole, columns, subsequent_indent="  ", max_lines=LINES[part.title], placeholder=" …")

    taken: list[str] = []
    for statement in part.statements:
        longer = " ".join([*taken, _brief(statement)])
        if taken and " ".join(line.strip() for line in wrapped(longer)) != f"{part.title}: {longer}":
            continue
        taken.append(_brief(statement))
    return wrapped(" ".join(taken))


def _brief(statement: Statement) -> str:
    """The statement with the first of its groups of numbers; the page has all of them."""
    return str(replace(statement, numbers=statement.numbers.partition("; ")[0]))


def cell_table(results: Results, labels: Mapping[str, str], width: int) -> str:
    """A line or more per cell: its label, wrapped, and the numbers that tell the story.

    results: cells of one data set.
    labels: of each cell by its key.
    width: columns of the terminal; where they are too few for standard errors, means alone are shown.
    """
    cells = sorted(results, key=lambda cell: (labels[cell.key], cell.settings["latent_dim"]))
    rows = [Row(labels[cell.key], [str(cell.settings["latent_dim"]), *_numbers(cell, results)]) for cell in cells]
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
