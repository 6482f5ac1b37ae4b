"""Hypotheses: the claims of the study, one per file, discovered by file name."""

from study.answers.hypotheses._base import Hypothesis, MissingCells, Outcome, Verdict
from study.design.registry import Registry

HYPOTHESES: Registry[Hypothesis] = Registry("hypothesis", __name__, "Hypothesis")

__all__ = ["HYPOTHESES", "Hypothesis", "MissingCells", "Outcome", "Verdict"]
