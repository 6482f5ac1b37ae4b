"""Docket: every hypothesis before the results of one data set, with p-values adjusted for each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from analysis.multiplicity import holm
from analysis.normal_noise import NormalNoise
from study.answers.hypotheses._base import Case, Hypothesis
from study.answers.hypotheses._deciding import seconds_per_seed, what_decides
from study.answers.hypotheses._noise import Noise
from study.answers.remeasured import remeasured
from study.answers.results import Results

REMEASUREMENTS = 5
"""Times that results are drawn anew: with S seeds, 4 S degrees of freedom for the noise of the evaluation."""

ERROR = 0.05
"""Probability of any false verdict among those of the primary family."""


def docket(hypotheses: Sequence[Hypothesis[Any]], results: Results) -> list[Case]:
    """The case of each hypothesis on the results of one data set.

    Its probability holds the spread of seeds and the noise of the evaluation. What is decided in the primary family is
    decided at Holm's level over all of it, cells at hand or not.

    Args:
        hypotheses: the claims, all of the primary family among them.
        results: finished cells of one data set.
    """
    cases = {hypothesis.id: hypothesis.examine(results) for hypothesis in hypotheses}
    ruled = {name: case.verdict.rule for name, case in cases.items() if case.verdict.rule and case.hypothesis.needs}
    noises = {name: Noise(cases[name].hypothesis, rule) for name, rule in ruled.items()}
    for time in range(REMEASUREMENTS) if noises else ():  # each is as large as the results, and gone before the next
        _evaluate(noises.values(), remeasured(results, NormalNoise(time, "remeasured")))
    cases |= {name: replace(cases[name], verdict=noise.rule().verdict) for name, noise in noises.items()}
    primary = sum(hypothesis.family == "primary" for hypothesis in hypotheses)
    levels = {"primary": 1 - ERROR / max(primary, 1)}  # the least that Holm asks for of one of them
    return [
        _decided(case, results, levels.get(case.hypothesis.family, 1 - ERROR))
        for case in _adjusted(list(cases.values()))
    ]


def _evaluate(noises: Iterable[Noise], again: Results) -> None:
    """Shows every rule the results of another evaluation."""
    for noise in noises:
        noise.evaluate(again)


def _adjusted(cases: Sequence[Case]) -> list[Case]:
    """The cases with adjusted p-values in the primary family, where what Holm leaves open is undecided."""
    primary = [case for case in cases if case.hypothesis.family == "primary"]
    tested = [case for case in primary if case.verdict.p_value == case.verdict.p_value]
    p_values = dict(zip(map(id, tested), holm([case.verdict.p_value for case in tested], len(primary)), strict=True))
    adjusted = []
    for case in cases:
        if id(case) in p_values:
            verdict = replace(case.verdict, adjusted=float(p_values[id(case)]))
            if verdict.decision != "undecided" and verdict.adjusted >= ERROR:
                why = f"{verdict.why}; {verdict.decision} by itself, and open at p = {verdict.adjusted:.2g} after Holm"
                verdict = replace(verdict, decision="undecided", why=why)
            adjusted.append(replace(case, verdict=verdict))
        else:
            adjusted.append(case)
    return adjusted


def _decided(case: Case, results: Results, level: float) -> Case:
    """The case with what would decide it at that ``level`` of confidence, where it is undecided."""
    verdict = case.verdict
    if verdict.decision != "undecided":
        return case
    if verdict.rule is None:
        needed = "" if case.hypothesis.needs is None else f"`{case.hypothesis.command(case.dataset)}`"
        return replace(case, verdict=replace(verdict, decides=needed))
    decides = what_decides(verdict.rule, seconds_per_seed(case.evidence, results), level)
    return replace(case, verdict=replace(verdict, decides=decides))
