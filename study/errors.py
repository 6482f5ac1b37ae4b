"""Errors that a study reports: each is one sentence (what was expected, what came, what to do) with its exit code.

2 configuration · 3 data · 4 environment · 5 partial results · 130 interrupted (SIGINT) · 143 terminated (SIGTERM)
"""

from __future__ import annotations

import signal
from typing import ClassVar, final


class StudyError(Exception):
    """An error that the command line shows as its one sentence, without a traceback."""

    exit_code: ClassVar[int] = 1


@final
class ConfigurationError(StudyError):
    """The request itself is wrong: an unknown name, a wrong type, a value out of range."""

    exit_code = 2


@final
class DataError(StudyError):
    """The images are absent, corrupt, or cannot be fetched."""

    exit_code = 3


@final
class EnvironmentFault(StudyError):
    """This computer cannot do what is asked: no CUDA device, an unwritable folder, a worker killed for its memory."""

    exit_code = 4


@final
class PartialResults(StudyError):
    """Some cells failed; the others are stored."""

    exit_code = 5


@final
class TrainingFailed(StudyError):
    """A replicate's loss is not finite: its cell stops, at update ``step``, where ``term`` was NaN or infinite."""

    exit_code = 5

    def __init__(self, step: int, term: str) -> None:
        super().__init__(step, term)
        self.step = step
        self.term = term

    def __str__(self) -> str:
        return f"{self.term} is not finite at step {self.step}; lower train.learning_rate, or use train.precision=fp32"


@final
class Interrupted(StudyError):
    """A signal stopped the study after the running cells had saved their state."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signal.Signals(signum)

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        """128 + the signal's number, as shells count."""
        return 128 + self.signum

    def __str__(self) -> str:
        return f"stopped by {self.signum.name}; the same command resumes where it stopped"
