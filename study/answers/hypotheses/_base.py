"""Hypothesis: the author's recipe for a claim that finished cells decide."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from matplotlib.figure import Figure

from study.answers.results import Results

Outcome = Literal["supported", "refuted", "undecided"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the cells at hand say of a claim.

    effect: what ``value`` measures, with its unit.
    interval: 95 % interval of the effect over ``seeds`` training seeds (or independent repetitions).
    why: one or two sentences with the numbers that decide, by the rule in the hypothesis' own file.
    scope: on what it rests: data set, dimensions, training lengths.
    """

    outcome: Outcome
    why: str
    effect: str = ""
    value: float = math.nan
    interval: tuple[float, float] = (math.nan, math.nan)
    seeds: int = 0
    scope: str = ""


class MissingCells(Exception):
    """The cells that a hypothesis needs are not among the results; the message says which, and how to get them."""


class Hypothesis(ABC):
    """One claim about latent dimension, decided by a rule that was written before the runs.

    To add one: a file in this folder, named ``h<number>_<noun>.py``, with one final subclass. Its module docstring
    states the rule. ``decide`` and ``draw`` are given the results of one data set.
    """

    id: ClassVar[str]
    """As in ``H7``."""
    claim: ClassVar[str]
    """One sentence that can be true or false."""
    needs: ClassVar[str]
    """The cells it rests on, in words, and a command that makes them."""

    @abstractmethod
    def decide(self, results: Results) -> Verdict:
        """The verdict; raises MissingCells where the cells are not there."""

    @abstractmethod
    def draw(self, results: Results) -> Figure:
        """The figure that shows it; this docstring is its caption. Raises MissingCells as ``decide`` does."""

    def verdict(self, results: Results) -> Verdict:
        """The verdict; undecided, with the cells that are missing, where :meth:`decide` cannot be made."""
        try:
            return self.decide(results)
        except MissingCells as missing:
            return Verdict("undecided", str(missing))
