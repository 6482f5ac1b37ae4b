"""Paths: where studies lie beneath a results folder, and where what can be made again is kept."""

from __future__ import annotations

import os
import sys
import tempfile
from functools import cache
from pathlib import Path

import platformdirs

from study.errors import ConfigurationError, EnvironmentFault

RESULTS = Path("results")
"""The results folder where none is named."""


def cache_directory() -> Path:
    """Where what can be made again is kept: ``LATENT_STUDY_CACHE``, else the user's cache folder.

    A user without a home directory has a temporary one, which ends with the process.
    """
    chosen = os.environ.get("LATENT_STUDY_CACHE")
    try:
        return Path(chosen or platformdirs.user_cache_path("latent-study")).expanduser()
    except RuntimeError:
        return Path(_temporary().name)


def usable_cache() -> Path:
    """:func:`cache_directory` where it can be written, else a temporary folder, which is said once on stderr.

    It is then the one of this process and of those that it starts, and ends with this one.
    """
    folder = cache_directory()
    try:
        _try(folder)
    except OSError as error:
        temporary = _temporary().name
        os.environ["LATENT_STUDY_CACHE"] = temporary
        print(
            f"cannot write in {folder}: {error.strerror}; what is compiled and trained for later runs is kept in "
            f"{temporary} until this one ends: set LATENT_STUDY_CACHE to another folder to keep it longer",
            file=sys.stderr,
        )
        return Path(temporary)
    return folder


def _try(folder: Path) -> None:
    """Makes ``folder`` and a file in it that is gone at once; raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


@cache
def _temporary() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="latent-study-")


def studies(results: Path) -> list[Path]:
    """Folders of the studies in ``results``, which may also be one study's own folder."""
    try:
        folders = [results] if (results / "cells").is_dir() else sorted(path.parent for path in results.glob("*/cells"))
    except (OSError, ValueError) as error:  # a name that no file can have
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigurationError(f"cannot read {results}: {reason}") from error
    if not folders:
        raise ConfigurationError(f"no results in {results}; name the folder that `latent-study run` wrote")
    return folders


def printable(name: Path | str) -> str:
    r"""What came from a file system, on one line: control characters and undecodable bytes as ``\x1b``."""
    return "".join(map(_printable, str(name)))


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    # Python reads an undecodable byte b as the surrogate U+DC00 + b (PEP 383).
    byte = ord(character) - 0xDC00
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else character.encode("unicode_escape").decode()


def ensure_writable(folder: Path) -> None:
    """Makes ``folder`` and tries it with a file, so that a run learns before its work whether it can store any."""
    try:
        _try(folder)
    except OSError as error:
        raise EnvironmentFault(f"cannot write in {folder}: {error.strerror}; choose another --results") from error
