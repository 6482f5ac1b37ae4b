"""Questions of a diagnosis, one a file, in the order in which a reader asks them; each gives findings."""

from study.diagnosis.questions._finding import Finding
from study.diagnosis.questions._registry import questions

__all__ = ["Finding", "questions"]
