"""Phenomenon: the cell that shows best what the study is about, chosen by rule.

Among the cells of the default prior and posterior, or among all where there are none, it is the one with the largest
gap of levels, squared Fréchet distance of the prior's samples minus that of the aggregate's, of those that show all
four observations of H10 in every seed; where no cell does, the one with the largest gap of all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from analysis.interval import Interval
from study.answers.conclusions.levels import Level, difference, level
from study.answers.hypotheses.h10_reductions import BY_CHANCE, REGIONS, observation
from study.answers.results import Results, StoredCell
from study.design.cell import Cell

OBSERVED = "Shown is the model that does all that the question describes in every training, with the largest difference"
LARGEST = (
    "No model does all that the question describes in every training; shown is the one with the largest difference"
)


@dataclass(frozen=True, eq=False)
class Phenomenon:
    """The cell that the answer is about.

    cell: chosen by the rule above.
    prior: level of samples of its prior.
    aggregate: level of samples of its aggregate posterior.
    observed: names of the observations of H10 that it has in every seed, by column.
    """

    cell: StoredCell
    prior: Level
    aggregate: Level
    observed: frozenset[str]

    @cached_property
    def gap(self) -> Interval:
        """Level of the prior minus level of the aggregate, paired by seed."""
        return difference(self.prior, self.aggregate)

    @property
    def reason(self) -> str:
        """Why this cell is the one shown."""
        return OBSERVED if self.observed == REGIONS.keys() else LARGEST


def phenomenon(results: Results) -> Phenomenon | None:
    """The cell that shows it; None where no cell has the levels of both prior and aggregate."""
    usual = Cell()
    standard = results.where(prior=usual.prior.name, posterior=usual.posterior.name)
    candidates = _measured(standard) or _measured(results)
    complete = [each for each in candidates if each.observed == REGIONS.keys()]
    return max(complete or candidates, key=lambda each: each.prior.mean.value - each.aggregate.mean.value, default=None)


def _measured(results: Results) -> list[Phenomenon]:
    """Phenomenon in each cell whose samples were measured."""
    return [each for cell in results if (each := _of(cell))]


def _of(cell: StoredCell) -> Phenomenon | None:
    prior, aggregate = level(cell, "prior"), level(cell, "aggregate_train")
    return Phenomenon(cell, prior, aggregate, _observed(cell)) if prior and aggregate else None


def _observed(cell: StoredCell) -> frozenset[str]:
    """The columns of H10 that lie in their regions in every seed; none of images that were binarised by chance."""
    if cell.settings["binarisation"] in BY_CHANCE:
        return frozenset()
    numbers = Results((cell,))
    observed = set()
    for name, region in REGIONS.items():
        values = observation(numbers, name)
        if len(values) == cell.settings["seeds"] and values.between(*region).all():
            observed.add(name)
    return frozenset(observed)
