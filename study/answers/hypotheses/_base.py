"""Hypothesis: a claim about latent dimension, its evidence among finished cells, and the rule that decides it.

The evidence is computed once; the verdict and the figure are two views of the same numbers.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from matplotlib.figure import Figure

from study.answers.hypotheses._needs import DATASET, Needs
from study.answers.results import Results

Decision = Literal["supported", "refuted", "not supported", "undecided"]
"""The module :mod:`study.answers.hypotheses._criterion` defines the words."""

Family = Literal["primary", "exploratory", "check"]
"""How much a verdict can bear: one of the few claims that were named to be answered, whose p-values are adjusted for
each other; one among many, for which nothing is adjusted; or what is true by construction, which tests the instrument
and is no evidence."""

Group = Literal["picture", "cause", "cure"]
"""Topic of a claim: the intuition's picture of codes as bubbles in the prior, what makes samples bad, and what
makes them better."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Verdict of the cells at hand on a claim.

    decision: supported, refuted, not supported or undecided.
    effect: what ``value`` measures, with its unit.
    interval: 95 % interval of the effect over ``seeds`` training seeds (or independent repetitions).
    why: one or two sentences with the numbers that decide, by the rule in the hypothesis' own file.
    scope: on what it rests: data set, dimensions, training lengths.
    probability: that the claim holds by the rule, at least, under the spread of seeds and the noise of the evaluation.
    p_value: of the side that the evidence is on, for the claim or against it, two-sided.
    adjusted: the same by Holm over the primary family; NaN outside it.
    decides: which runs would decide it, and at what cost; empty where it is decided.
    rule: the :class:`~study.answers.hypotheses._rule.Rule` that gave it; None where cells are missing.
    """

    decision: Decision
    why: str
    effect: str = ""
    value: float = math.nan
    interval: tuple[float, float] = (math.nan, math.nan)
    seeds: int = 0
    scope: str = ""
    probability: float = math.nan
    p_value: float = math.nan
    adjusted: float = math.nan
    decides: str = ""
    rule: Any = field(default=None, compare=False, repr=False)


class MissingCells(Exception):
    """The cells that a hypothesis needs are not among the results; the message says which."""


class NotMeasured(MissingCells):
    """Cells are among the results, without what a hypothesis needs to have been measured of them."""


class Hypothesis[Evidence](ABC):
    """One claim about latent dimension, decided by a rule that is to be written before the runs.

    To add one: a file in this folder, named ``h<number>_<noun>.py``, with one final subclass. Its module docstring
    states the rule. ``Evidence`` is what both verdict and figure are made of: a table, most often, with a column
    ``family`` (:mod:`study.answers.hypotheses._families`).
    """

    id: ClassVar[str]
    """Identifier, such as ``H7``."""
    group: ClassVar[Group] = "cause"
    """Topic of the claim."""
    family: ClassVar[Family] = "exploratory"
    """How much its verdict can bear."""
    claim: ClassVar[str]
    """One sentence that can be true or false."""
    caption: ClassVar[str]
    """Caption of the figure: what each axis is, with its unit, what intervals cover, and where the claim would show."""
    needs: ClassVar[Needs | None]
    """The cells that decide it; None where it rests on no cells."""

    of_records: ClassVar[bool] = False
    """Whether its evidence has no estimates, but records of single draws and images alone: a second evaluation of the
    same replicates, as :mod:`study.answers.remeasured` makes it, leaves it as it is."""

    @abstractmethod
    def evidence(self, results: Results) -> Evidence:
        """Evidence on the claim in the results of one data set; raises MissingCells where there is none."""

    @abstractmethod
    def decide(self, evidence: Evidence) -> Verdict:
        """The verdict by the rule; raises MissingCells where the evidence is too little for it."""

    @abstractmethod
    def draw(self, evidence: Evidence) -> Figure:
        """The figure that shows it; raises MissingCells as :meth:`decide` does."""

    def examine(self, results: Results) -> Case:
        """The case of this hypothesis on the results of one data set; undecided where cells are missing."""
        dataset = next(iter(results.levels("dataset")), DATASET)
        try:
            evidence = self.evidence(results)
        except MissingCells as missing:
            return Case(self, dataset, self._undecided(missing, results, dataset))
        try:
            return Case(self, dataset, self.decide(evidence), evidence)
        except MissingCells as missing:
            return Case(self, dataset, self._undecided(missing, results, dataset), evidence)

    def command(self, dataset: str = DATASET) -> str:
        """The command that computes the cells it needs, on that data set."""
        return f"latent-study run --for {self.id}{'' if dataset == DATASET else f' dataset={dataset}'}"

    def _undecided(self, missing: MissingCells, results: Results, dataset: str) -> Verdict:
        off = self.needs.switched_off(results) if self.needs and isinstance(missing, NotMeasured) else []
        because = f": their {' and their '.join(off)}" if off else ""
        return Verdict("undecided", f"{missing}{because}; `{self.command(dataset)}` computes cells that decide it")


@dataclass(frozen=True, eq=False)
class Case:
    """A hypothesis before the results of one data set.

    hypothesis: the claim with its rule.
    dataset: name of the data set.
    verdict: what the rule says of it there.
    evidence: what that rests on; None where cells are missing.
    """

    hypothesis: Hypothesis[Any]
    dataset: str
    verdict: Verdict
    evidence: Any = None

    @property
    def needs(self) -> str:
        """The cells that decide it, in words, and the command that computes them."""
        needs = self.hypothesis.needs
        if needs is None:
            return "No cells: it is computed anew, whatever the results."
        return f"{needs.description}: `{self.hypothesis.command(self.dataset)}`"

    def figure(self) -> Figure | None:
        """The figure of the evidence; None where that is too little for one."""
        if self.evidence is None:
            return None
        try:
            return self.hypothesis.draw(self.evidence)
        except MissingCells:
            return None
