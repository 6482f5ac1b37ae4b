"""Phenomenon: the cell that shows best what the study is about, chosen by rule.

Among the cells of the default prior, posterior and β, or among those of the default prior and posterior where there are
none, or else among all, it is the one with the largest gap of levels, squared Fréchet distance of the prior's samples
minus that of the aggregate's, of those that show all four observations of H10 in every seed; where no cell does, the
one with the largest gap of all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from analysis.interval import Interval
from study.answers.conclusions.levels import Level, difference, level
from study.answers.conclusions.statement import Part, Statement
from study.answers.hypotheses.h10_reductions import BY_CHANCE, REGIONS, observation
from study.answers.results import Results, StoredCell
from study.design.labels import titles

OBSERVED = "Shown is the model that does all that the question describes in every training, with the largest difference"
LARGEST = (
    "No model does all that the question describes in every training; shown is the one with the largest difference"
)


PREFERRED = {
    "the default prior, posterior and β": ("objective",),
    "the default prior and posterior": ("objective", "beta"),
}
"""What the cells have in common among which the one to be shown is looked for first, and what they may differ in of
what plain cells have, see :meth:`~study.answers.results.Results.plain`."""


@dataclass(frozen=True, eq=False)
class Phenomenon:
    """The cell that the answer is about.

    cell: chosen by the rule above.
    prior: level of samples of its prior.
    aggregate: level of samples of its aggregate posterior.
    observed: names of the observations of H10 that it has in every seed, by column.
    name: every setting in which the cells differ, as the cell has it.
    among: what the cells have in common among which it was chosen; empty where these are all.
    """

    cell: StoredCell
    prior: Level
    aggregate: Level
    observed: frozenset[str]
    name: str = ""
    among: str = ""

    @cached_property
    def gap(self) -> Interval:
        """Level of the prior minus level of the aggregate, paired by seed."""
        return difference(self.prior, self.aggregate)

    @property
    def reason(self) -> str:
        """Why this cell is the one shown."""
        among = f", among those with {self.among}" if self.among else ""
        return (OBSERVED if self.observed == REGIONS.keys() else LARGEST) + among

    @property
    def shown(self) -> Part:
        """Which cell is shown, and why."""
        return Part("Model", (Statement(self.reason, self.name),))


def phenomenon(results: Results) -> Phenomenon | None:
    """The cell that shows it; None where no cell has the levels of both prior and aggregate."""
    every = _measured(results)
    if not every:
        return None
    preferred = ((among, _measured(results.plain(*free))) for among, free in PREFERRED.items())
    among, candidates = next((pair for pair in preferred if pair[1]), ("", every))
    complete = [each for each in candidates if each.observed == REGIONS.keys()]
    chosen = max(complete or candidates, key=lambda each: each.prior.mean.value - each.aggregate.mean.value)
    names = titles({cell.key: cell.manifest.config for cell in results}, every=True)
    return replace(chosen, name=names[chosen.cell.key], among=among if len(candidates) < len(every) else "")


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
