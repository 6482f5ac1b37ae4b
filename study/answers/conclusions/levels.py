"""Levels: squared Fréchet distances to held-out images of the sources of one cell, and differences between two.

A level is shown as mean ± standard error over training seeds. Two levels are compared by their difference, seed by
seed, since replicate r of all cells shares data order and noise. A difference is stated where its 95 % interval,
widened to twice its width about the value, still leaves zero out: a difference that is narrowly decided may be
undecided in the next run, and is left open.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from analysis.interval import Interval
from analysis.numerals import plus_minus, share_with_interval
from analysis.summaries import over_seeds
from study.answers.results import StoredCell


@dataclass(frozen=True)
class Level:
    """Squared Fréchet distance of one source of samples to held-out images.

    by_seed: the distance of each training seed that has one.
    mean: over seeds, with its standard error.
    """

    by_seed: Mapping[int, float]
    mean: Interval

    def __str__(self) -> str:
        return plus_minus(self.mean.value, self.mean.standard_error)


def level(cell: StoredCell, source: str) -> Level | None:
    """The level of ``source`` in ``cell``; None where it was not measured, or every seed refused it."""
    numbers = cell.numbers(f"realism/{source}/squared_frechet")
    if numbers is None:
        return None
    values = zip(cell.seeds, numbers[:, 0].tolist(), strict=True)
    by_seed = {seed: value for seed, value in values if math.isfinite(value)}
    return Level(by_seed, over_seeds(*numbers.T)) if by_seed else None


def difference(first: Level, second: Level) -> Interval:
    """Mean of ``first`` − ``second`` over the seeds that both have, with Student's interval."""
    seeds = sorted(first.by_seed.keys() & second.by_seed.keys())
    return Interval.student_t([first.by_seed[seed] - second.by_seed[seed] for seed in seeds])


def share_closed(start: Level, reached: Level, end: Level) -> Interval:
    """Share of the way from ``start`` to ``end`` at which ``reached`` is: (start − reached) / (start − end), means over
    the seeds that all three have, with Fieller's interval."""
    seeds = sorted(start.by_seed.keys() & reached.by_seed.keys() & end.by_seed.keys())
    if not seeds:
        return Interval.student_t([])
    gained = [start.by_seed[seed] - reached.by_seed[seed] for seed in seeds]
    closable = [start.by_seed[seed] - end.by_seed[seed] for seed in seeds]
    return Interval.fieller([(gained, closable)])


def share_text(share: Interval) -> str:
    """A share with its interval, or why it has none."""
    return str(share) if share.reason else share_with_interval(share.value, share.lower, share.upper)


def above(interval: Interval, edge: float = 0.0) -> bool:
    """Whether a value lies above ``edge`` with room: ``interval`` ends more than its lower half-width above it."""
    return 2 * interval.lower - interval.value > edge


def below(interval: Interval, edge: float = 0.0) -> bool:
    """Whether a value lies below ``edge`` with room: ``interval`` ends more than its upper half-width below it."""
    return 2 * interval.upper - interval.value < edge
