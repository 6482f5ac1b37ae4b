"""Errors that a study reports: each is one sentence (what was expected, what came, what to do) with its exit code.

2 configuration · 3 data · 4 environment · 5 partial results · 129 hung up (SIGHUP) · 130 interrupted (SIGINT) ·
141 closed pipe (SIGPIPE) · 143 terminated (SIGTERM)
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import ClassVar, final

import typer

from study.files import printable


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
    """A replicate's loss is not finite: its cell stops.

    step: number of updates before the one whose loss it was.
    term: what was NaN or infinite: the rate, the distortion, or both.
    precision: of the training.
    """

    exit_code = 5

    def __init__(self, step: int, term: str, precision: str = "fp32") -> None:
        super().__init__(step, term, precision)
        self.step = step
        self.term = term
        self.precision = precision

    def __str__(self) -> str:
        fp32 = "" if self.precision == "fp32" else ", or use train.precision=fp32"
        if self.step > 0:
            return f"{self.term} is not finite at step {self.step}; lower train.learning_rate{fp32}"
        density = "prior's" if "rate" in self.term else "likelihood's"
        return (
            f"{self.term} is not finite before the first update: the {density} density is not finite at draws of the "
            f"posterior; its support must hold them, and its options a density that is finite there{fp32}"
        )


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
class ProcessDied(StudyError):
    """One of several processes of a training was ended from outside.

    death: how it ended.
    processes: of the training.
    """

    exit_code = 5

    def __init__(self, death: str, processes: int) -> None:
        super().__init__(death, processes)
        self.death = death
        self.processes = processes

    def __str__(self) -> str:
        return (
            f"one of the {self.processes} processes of the training was lost ({self.death}), perhaps for its memory; "
            "the same command goes on from the last checkpoint, also with train.processes=1"
        )


@final
class Interrupted(StudyError):
    """A signal stopped the study.

    signum: number of the signal.
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


LONGEST = 2_000
"""Characters of an error's sentence."""

CLOSED_PIPE = 141
"""128 + SIGPIPE, as a shell reports of ``latent-study … | head``."""


def say(text: str, *, err: bool = False) -> None:
    """Prints lines, without what a terminal would take for commands; every word of a verb passes here.

    text: the lines.
    err: print on stderr in place of stdout.
    """
    typer.echo("\n".join(map(printable, text.split("\n"))), err=err)


def say_line(line: str, *, err: bool = False) -> None:
    """Prints one line, whose own line breaks, which may come from a file, are shown as ``\\n``.

    line: the text.
    err: print on stderr in place of stdout.
    """
    typer.echo(printable(line), err=err)


@final
class _Notes(logging.Handler):
    """Warnings of the package, each once, on stderr."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._shown: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if message not in self._shown:
            self._shown.add(message)
            say_line(message, err=True)


def reported(command: Callable[[], int | None], *, debug: bool = False) -> int:
    """The exit code of ``command``; an error that a user can act on is one sentence on stderr.

    Characters that an output's encoding lacks, ≥ or μ in Latin-1, are written as escapes. An output that is closed
    early, as by ``head``, ends the command without a word.

    command: does the work; None stands for 0.
    debug: print an error's traceback too.
    """
    _open_closed_outputs()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    notes = _Notes()
    logging.getLogger("study").addHandler(notes)
    try:
        code = command() or 0
        sys.stdout.flush()
        return code
    except (BrokenPipeError, SystemExit) as error:
        # Typer turns a closed pipe into the exit code 1.
        if not isinstance(error, BrokenPipeError) and not isinstance(error.__context__, BrokenPipeError):
            raise
        _silence()
        return CLOSED_PIPE
    except (StudyError, typer.TyperException, typer.Abort, OSError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not is_of_memory(error):
            raise
        if debug:
            say("".join(traceback.format_exception(error)), err=True)
        message, code = _sentence(error)
        with suppress(OSError):  # stderr may be full or closed too
            say_line(f"error: {_brief(' '.join(message.split()))}", err=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EIO):
            _silence()
        return code
    finally:
        logging.getLogger("study").removeHandler(notes)


def _open_closed_outputs() -> None:
    """Lets standard streams that the command was started without, as by ``>&-``, lead nowhere.

    The next file opened, perhaps a result, would get their numbers, and what libraries print would go into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)  # which gets the lowest number that is free
            os.set_inheritable(nowhere, True)
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if number == 0 else "w", encoding="utf-8"))  # noqa: SIM115


TOO_LITTLE_MEMORY = "this computer has too little memory; lower train.batch_size, evaluate.draws, limit or --workers"


def is_of_memory(error: BaseException) -> bool:
    """Whether memory could not be had; torch and netCDF raise RuntimeError with the words of their allocators then."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    words = ("can't allocate memory", "not enough memory", "out of memory", "Memory allocation")
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(word in str(error) for word in words)
    )


def reason(error: BaseException) -> str:
    """Text of an error that ended a cell: its sentence where it has one, else its type and message."""
    if isinstance(error, StudyError):
        return str(error)
    return TOO_LITTLE_MEMORY if is_of_memory(error) else f"{type(error).__name__}: {error}"


def _sentence(error: BaseException) -> tuple[str, int]:
    """Text of an error, and the exit code."""
    if is_of_memory(error):
        return TOO_LITTLE_MEMORY, EnvironmentFault.exit_code
    match error:
        case StudyError():
            return str(error), error.exit_code
        case typer.TyperException():
            return error.format_message(), error.exit_code
        case typer.Abort():
            return "stopped", 130
        case OSError():
            place = error.filename or "the output"
            return f"cannot read or write {place}: {error.strerror or error}", EnvironmentFault.exit_code
    raise AssertionError("one of the kinds that are reported") from error


def _brief(message: str) -> str:
    """``message``, whose middle is left out where it is very long: some quote what a file or a user wrote."""
    return message if len(message) <= LONGEST else f"{message[: LONGEST // 2]} […] {message[-LONGEST // 2 :]}"


def _silence() -> None:
    """Gives up on standard output, so that Python does not write there once more as it ends."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
