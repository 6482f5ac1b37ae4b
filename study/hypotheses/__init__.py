"""Hypotheses: the claims of the study, one per file, discovered by file name."""

from models.registry import Registry
from study.hypotheses._base import Hypothesis, MissingCells, Outcome, Verdict

HYPOTHESES: Registry[Hypothesis] = Registry("hypothesis", __name__, Hypothesis)

__all__ = ["HYPOTHESES", "Hypothesis", "MissingCells", "Outcome", "Verdict"]
