"""Noise of the evaluation in the criteria of a hypothesis, by deciding it anew on remeasured results.

Remeasured results (:mod:`study.answers.remeasured`) have the same trained replicates, so that what the numbers of a
replicate vary by among them is due to the evaluation alone, through whatever statistic is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from study.answers.hypotheses._base import Hypothesis, MissingCells
from study.answers.hypotheses._criterion import Criterion
from study.answers.hypotheses._rule import Rule
from study.answers.results import Results


class Noise:
    """The criteria of a hypothesis on remeasured results.

    hypothesis: whose they are.
    rule: of the results as they are.
    """

    def __init__(self, hypothesis: Hypothesis[Any], rule: Rule) -> None:
        self._hypothesis = hypothesis
        self._rule = rule
        self._pairs: list[list[npt.NDArray[np.float64]]] = [[] for _ in rule.criteria]

    def evaluate(self, again: Results) -> None:
        """Decides once more, on the results remeasured, ``again``."""
        try:
            with np.errstate(all="ignore"):  # noise may carry an estimate below zero, whose logarithm is no number
                criteria = self._criteria(again)
        except MissingCells:
            return
        by_effect = {criterion.effect: criterion.number.pairs for criterion in criteria}
        for pairs, criterion in zip(self._pairs, self._rule.criteria, strict=True):
            anew = by_effect.get(criterion.effect)
            if anew is not None and anew.shape == criterion.number.pairs.shape and np.isfinite(anew).all():
                pairs.append(anew)

    def _criteria(self, again: Results) -> Sequence[Criterion]:
        if self._hypothesis.of_records:
            return self._rule.criteria
        criteria: Sequence[Criterion] = self._hypothesis.decide(self._hypothesis.evidence(again)).rule.criteria
        return criteria

    def rule(self) -> Rule:
        """The rule whose criteria know the noise of the evaluation."""
        return self._rule.with_criteria(
            [
                criterion.evaluated_with(_covariance(np.stack(pairs))) if len(pairs) > 1 else criterion
                for pairs, criterion in zip(self._pairs, self._rule.criteria, strict=True)
            ]
        )


def _covariance(pairs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Covariance ``(2, 2)`` over evaluations of the pairs ``(K, 2, S)``, mean over the S units."""
    centred = pairs - pairs.mean(0)
    covariance: npt.NDArray[np.float64] = np.einsum("kis,kjs->ij", centred, centred) / (
        (len(pairs) - 1) * pairs.shape[2]
    )
    return covariance
