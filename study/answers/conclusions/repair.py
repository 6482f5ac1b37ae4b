"""Repair: what samples the shown cell's decoder, or its like, best in the place of its prior.

A repair is a density fitted to the codes after training, or a prior learned with the networks (with the posterior that
it needs), all else equal. The best is the one of lowest level among those that do not give training images again, which
would be as real as the images are without anything having been learned.
"""

from __future__ import annotations

from dataclasses import dataclass

from study.answers.conclusions.levels import Level, level
from study.answers.remedies import EX_POST, Treatment, treatments
from study.answers.results import Results, StoredCell

KINDS = (EX_POST, "prior", "prior and posterior")


@dataclass(frozen=True, eq=False)
class Repair:
    """A treatment with what its samples reach.

    treatment: what is changed.
    level: of its samples.
    aggregate: level of the aggregate of its own codes; None where that was not measured.
    """

    treatment: Treatment
    level: Level
    aggregate: Level | None


def repairs(results: Results, cell: StoredCell) -> list[Repair]:
    """Every repair of ``cell`` among ``results`` whose samples were measured, the best level first."""
    measured = []
    for each in treatments(results, cell):
        reached = level(each.treated, each.source)
        if each.kind in KINDS and reached:
            measured.append(Repair(each, reached, level(each.treated, "aggregate_train")))
    return sorted(measured, key=lambda repair: repair.level.mean.value)


def best(repairs: list[Repair]) -> Repair | None:
    """The first that does not repeat training images; None where every one does, or there is none."""
    return next((repair for repair in repairs if not repair.treatment.repeats), None)
