"""Registry of questions, in their order."""

from __future__ import annotations

from collections.abc import Callable

from study.diagnosis.evidence import Evidence
from study.diagnosis.questions import cause, mismatch, place, remedy, samples
from study.diagnosis.questions._finding import Finding


def questions() -> dict[str, Callable[[Evidence], list[Finding]]]:
    """What answers each question, by the question."""
    return {module.QUESTION: module.findings for module in (mismatch, place, samples, cause, remedy)}
