"""Errors that a study reports: each is one sentence (what was expected, what came, what to do) with its exit code.

2 configuration · 3 data · 4 environment · 5 partial results · 129 hung up (SIGHUP) · 130 interrupted (SIGINT) ·
143 terminated (SIGTERM)
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
    """This computer cannot do what is asked: no CUDA device, an unwritable folder, a full disk."""

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
class WorkersDied(StudyError):
    """Two worker processes, one after the other, were ended from outside while they computed the same cell.

    death: how the second one ended.
    """

    exit_code = 5

    def __init__(self, death: str) -> None:
        super().__init__(death)
        self.death = death

    def __str__(self) -> str:
        return (
            f"{self.death}, twice, perhaps for its memory; use fewer --workers, or lower evaluate.draws, "
            "train.batch_size or limit"
        )


@final
class Interrupted(StudyError):
    """A signal stopped the study.

    unsaved: number of running cells that could not save what they did since their last checkpoints, because a second
        signal did not wait for them.
    """

    def __init__(self, signum: int, unsaved: int = 0) -> None:
        super().__init__(signum, unsaved)
        self.signum = signal.Signals(signum)
        self.unsaved = unsaved

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        """128 + the signal's number, as shells count."""
        return 128 + self.signum

    def __str__(self) -> str:
        lost = ""
        if self.unsaved:
            cells = "1 cell" if self.unsaved == 1 else f"{self.unsaved} cells"
            lost = f" before {cells} had saved"
        return f"stopped by {self.signum.name}{lost}; the same command resumes where it stopped"
