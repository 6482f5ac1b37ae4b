"""Paths: where studies lie beneath a results folder, and where what can be made again is kept."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from functools import cache
from pathlib import Path

import platformdirs

from study.errors import ConfigurationError, EnvironmentFault
from study.files import printable

RESULTS = Path("results")
"""The results folder where none is named."""


MAX_NAME = 200
"""Bytes of a name, so that an ending still fits into the 255 that file systems allow."""


_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def is_url(place: str) -> bool:
    """Whether a place is named by a URL, ``s3://bucket/results``, and not by the path of a folder."""
    return _URL.match(place) is not None


def cache_directory() -> Path:
    """Folder of files that can be made again: ``LATENT_STUDY_CACHE``, else the user's cache folder.

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
        folder.mkdir(parents=True, exist_ok=True)
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
    """Makes a file in ``folder`` that is gone at once; raises OSError."""
    with tempfile.TemporaryFile(dir=folder):
        pass


def _is_there(folder: Path) -> bool:
    """Whether there is anything of that name, a link to nowhere too; raises OSError where nothing can have it."""
    try:
        os.lstat(folder)
    except FileNotFoundError:
        return False
    return True


@cache
def _temporary() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="latent-study-")


def studies(results: Path) -> list[Path]:
    """Folders of the studies in ``results``, which may also be one study's own folder."""
    try:
        folders = [results] if (results / "cells").is_dir() else sorted(path.parent for path in results.glob("*/cells"))
    except (OSError, ValueError) as error:  # a name that no file can have
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigurationError(f"cannot read {shortened(results)}: {reason}") from error
    if not folders:
        raise ConfigurationError(f"no results in {shortened(results)}; name the folder that `latent-study run` wrote")
    return folders


def shortened(path: Path) -> str:
    """A path for a message: its end stands for it where it is very long."""
    text = str(path)
    return text if len(text) <= MAX_NAME else f"…{text[-80:]}"


def safe_name(name: str) -> str:
    """``name``, where it can name a file or folder in whatever folder it is put; else raises ValueError.

    A name that came from a file or a user must not lead elsewhere: it is one step of a path, not hidden, and has no
    character that a terminal or a file system may take for another thing.
    """
    if not name or name[0] in ".-" or not set("/\\").isdisjoint(name) or len(os.fsencode(name)) > MAX_NAME:
        raise ValueError(f"{printable(name)[:80]!r} cannot be the name of a file")
    if not name.isprintable():
        raise ValueError(f"{printable(name)[:80]!r} has characters that cannot be shown")
    return name


def checked_name(name: str) -> str:
    """The ``name`` of a diagnosed model or its study; raises ConfigurationError where a folder cannot have it, or a
    page."""
    try:
        safe_name(safe_name(name) + "diagnosis-.html")  # of the page
        return name
    except ValueError as error:
        raise ConfigurationError(f"{error}; rename the file of codes, or give another --name") from error


def ensure_writable(folder: Path, option: str = "--results") -> None:
    """Tries ``folder`` with a file, so that a run learns before its work whether it can store any.

    A folder that is absent is not made, so that a run that is stopped leaves none: the nearest one above it is tried.

    option: of the command line, which names another.

    Raises EnvironmentFault.
    """
    try:
        _try(next(place for place in (folder, *folder.parents) if _is_there(place)))
    except OSError as error:
        raise EnvironmentFault(f"cannot write in {folder}: {error.strerror}; choose another {option}") from error
