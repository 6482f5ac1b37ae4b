r"""Declarations of estimators: names, formula, relation to what is estimated, and what an estimator needs.

An estimator is a function of a *subject*, which is one row of a table of the result: a split of the images (training or
held-out), a source of samples, or a density fitted to codes. What it declares is kept where it is computed, because
two things follow from it that must not be forgotten: a quantity that is an expectation of log p(z) takes over the error
of a prior whose normaliser is estimated, and what is not defined for a model is refused with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import wraps
from re import sub
from typing import Any, Literal, Protocol

from analysis.estimate import Bound, Estimate
from study.design.cell import Evaluate
from study.measurement.replicate import Replicate

Table = Literal["aggregate", "realism", "densities"]
"""A group of estimates in the result: its rows are splits, sources of samples, or densities fitted to codes."""


class Subject(Protocol):
    """Input of an estimator: one row of a table, with the replicate that it belongs to."""

    @property
    def replicate(self) -> Replicate:
        """The model it belongs to."""

    @property
    def name(self) -> str:
        """Its row in the table."""

    @property
    def results(self) -> dict[Callable[..., Any], Any]:
        """Values that :func:`once` keeps."""

    def __len__(self) -> int:
        """Images that an estimate of it rests on."""


class Refused(Exception):
    """No number here would mean anything; the message says why.

    Args:
        reason: what is missing.
        n: images that there are; by default those of the subject.
    """

    def __init__(self, reason: str, n: int | None = None) -> None:
        super().__init__(reason)
        self.n = n


@dataclass(frozen=True, slots=True)
class Quantity:
    """One number that an estimator gives.

    name: in the result; ``<K>`` stands for what follows from the settings, as in ``log_px_<K>``.
    formula: what it estimates.
    bound: how its expectation relates to that.
    bias: the same in words, where the bound's own name does not say it all.
    limits: where it says less than it seems to.
    of_prior: whether it is an expectation of log p(z), so that an error of the normaliser of p is an error of its own.
        Slopes and differences in which the normaliser cancels are not, and quantities in [0, 1] move by less.
    """

    name: str
    formula: str
    bound: Bound = "unbiased"
    bias: str = ""
    limits: str = ""
    of_prior: bool = False

    @property
    def pattern(self) -> str:
        """``name`` with a wildcard for what stands in angle brackets."""
        return sub(r"<\w+>", "*", self.name)


@dataclass(frozen=True, slots=True)
class Need:
    """Condition that an estimator sets on a model.

    reason: given where it does not hold.
    holds: the condition on a subject.
    """

    reason: str
    holds: Callable[[Any], bool]


Computed = Estimate | Mapping[str, Estimate]


@dataclass(frozen=True, slots=True)
class Estimator:
    """A function of a subject with its declaration.

    compute: the function.
    quantities, table, rows, needs, asked: as in :func:`estimator`.
    """

    quantities: tuple[Quantity, ...]
    compute: Callable[[Any], Computed]
    table: Table
    rows: tuple[str, ...]
    needs: tuple[Need, ...]
    asked: Callable[[Evaluate], bool]

    def estimates(self, subject: Subject) -> dict[str, Estimate]:
        """Every quantity of ``subject`` by name; refused where the estimator refuses.

        Raises:
            TypeError: where the function gives a name that it does not declare.
        """
        try:
            for need in self.needs:
                if not need.holds(subject):
                    raise Refused(need.reason)
            computed = self.compute(subject)
        except Refused as refusal:
            reason = Estimate.refused(str(refusal), len(subject) if refusal.n is None else refusal.n)
            return {quantity.name: reason for quantity in self.quantities if "<" not in quantity.name}
        if isinstance(computed, Estimate):
            computed = {self.quantities[0].name: computed}
        error = subject.replicate.prior_error
        return {
            name: estimate.with_shared_error(error, NORMALISER_ESTIMATED) if self.quantity(name).of_prior else estimate
            for name, estimate in computed.items()
        }

    def quantity(self, name: str) -> Quantity:
        """The declaration of the quantity ``name``."""
        by_name = {quantity.name: quantity for quantity in self.quantities}
        if name in by_name:
            return by_name[name]
        # Of two patterns that fit, as a_<s> and a_b_<s> do, the longer is the name's own.
        for quantity in sorted(self.quantities, key=lambda quantity: -len(quantity.pattern)):
            if fnmatchcase(name, quantity.pattern):
                return quantity
        raise TypeError(f"an estimator of {[q.name for q in self.quantities]} gave {name!r}; declare it")


NORMALISER_ESTIMATED = "normaliser of the prior estimated"
"""Flag of an estimate that carries the error of the prior's normaliser."""


def estimator(
    *quantities: Quantity,
    table: Table = "aggregate",
    rows: tuple[str, ...] = (),
    needs: tuple[Need, ...] = (),
    asked: Callable[[Evaluate], bool] = lambda evaluate: True,
) -> Callable[[Callable[[Any], Computed]], Estimator]:
    """Declares the decorated function, which then is an :class:`Estimator`.

    Args:
        quantities: what it gives: one ``Estimate`` for one quantity, a mapping by name for several.
        table: of the result, which says what its subject is.
        rows: of the table that it is defined on; none: all.
        needs: conditions without which all its quantities are refused.
        asked: whether these settings ask for it; where not, its quantities are absent.
    """
    return lambda compute: Estimator(quantities, compute, table, rows, needs, asked)


def once[Argument: Subject, Result](compute: Callable[[Argument], Result]) -> Callable[[Argument], Result]:
    """``compute`` evaluated once per subject: for what several estimators or records share."""

    @wraps(compute)
    def shared(subject: Argument) -> Result:
        if compute not in subject.results:
            subject.results[compute] = compute(subject)
        result: Result = subject.results[compute]
        return result

    return shared
