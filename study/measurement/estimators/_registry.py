"""Registry of estimators: every declaration in this folder, and what the settings ask for of a subject."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from types import ModuleType

from analysis.estimate import Estimate
from study.measurement.discovery import declared
from study.measurement.estimators._base import Estimator, Subject, Table


@cache
def registered() -> tuple[tuple[ModuleType, Estimator], ...]:
    """Every estimator with its module.

    Raises:
        TypeError: where two declare the same name.
    """
    declarations, names = declared("study.measurement.estimators", Estimator), set[str]()
    for module, estimator in declarations:
        for quantity in estimator.quantities:
            if quantity.name in names:
                raise TypeError(f"{module.__name__} declares {quantity.name!r}, which another file has; rename it")
            names.add(quantity.name)
    return tuple(declarations)


@cache
def families() -> frozenset[str]:
    """Names of the files that declare estimators, by which settings leave them out."""
    return frozenset(_family(module) for module, _ in registered())


def _family(module: ModuleType) -> str:
    return module.__name__.rpartition(".")[2]


def asked(table: Table, subject: Subject) -> Iterator[Estimator]:
    """The estimators that are asked for of one row of ``table``.

    Args:
        table: in which estimators are looked for.
        subject: the row, with the replicate whose settings say what is asked for.
    """
    evaluate = subject.replicate.evaluate
    for module, estimator in registered():
        if estimator.table != table or _family(module) in evaluate.omit or not estimator.asked(evaluate):
            continue
        if not estimator.rows or subject.name in estimator.rows:
            yield estimator


def estimates(table: Table, subject: Subject) -> dict[str, Estimate]:
    """All that is asked for of the row ``subject`` of ``table``, by quantity; the heart beats before each estimator."""
    by_quantity: dict[str, Estimate] = {}
    for estimator in asked(table, subject):
        subject.replicate.heartbeat()
        by_quantity |= estimator.estimates(subject)
    return by_quantity
