"""Hypotheses: the claims of the study, one per file, discovered by file name."""

from __future__ import annotations

from typing import Any

from study.answers.hypotheses._base import Case, Decision, Family, Group, Hypothesis, MissingCells, Verdict
from study.answers.hypotheses._docket import docket
from study.answers.hypotheses._needs import DATASET, Needs
from study.answers.results import Results
from study.design.registry import Registry, UnknownName
from study.design.study import Study
from study.errors import ConfigurationError

HYPOTHESES: Registry[Hypothesis[Any]] = Registry("hypothesis", __name__, "Hypothesis")

__all__ = [
    "HYPOTHESES",
    "Case",
    "Decision",
    "Family",
    "Group",
    "Hypothesis",
    "MissingCells",
    "Needs",
    "Verdict",
    "cases",
    "hypotheses",
    "needed_study",
]


def hypotheses() -> list[Hypothesis[Any]]:
    """One of each hypothesis, by number."""
    return sorted((kind() for kind in HYPOTHESES.values()), key=lambda each: int(each.id.removeprefix("H")))


def cases(results: Results) -> list[Case]:
    """Every hypothesis on the results of one data set, see :func:`study.answers.hypotheses._docket.docket`."""
    return docket(hypotheses(), results)


def needed_study(id: str, dataset: str = DATASET) -> Study:
    """The study whose cells decide a hypothesis.

    id: of the hypothesis, such as ``H7``, in capitals or not.
    dataset: name of the data set.

    Raises:
        ConfigurationError: if there is no such hypothesis, or it rests on no cells.
    """
    by_id = {each.id: each for each in hypotheses()}
    if id.upper() not in by_id:
        raise ConfigurationError(str(UnknownName("hypothesis", id.upper(), by_id)))
    needs = by_id[id.upper()].needs
    if needs is None:
        raise ConfigurationError(f"{id.upper()} rests on no cells; `latent-study verdict` decides it by itself")
    return needs.study(dataset)
