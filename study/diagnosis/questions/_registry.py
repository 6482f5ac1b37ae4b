"""Registry of questions, in their order."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from study.diagnosis.evidence import Evidence
from study.diagnosis.questions._finding import Finding

ORDER = ("mismatch", "place", "samples", "cause", "remedy")
"""Files of this folder, in the order in which a reader asks."""


def questions() -> dict[str, Callable[[Evidence], list[Finding]]]:
    """Function that answers each question, by the question."""
    modules = [import_module(f"study.diagnosis.questions.{name}") for name in ORDER]
    return {module.QUESTION: module.findings for module in modules}
