"""Paths: where studies lie beneath a results folder."""

from __future__ import annotations

import tempfile
from pathlib import Path

from study.errors import ConfigurationError, EnvironmentFault

RESULTS = Path("results")
"""The results folder where none is named."""


def studies(results: Path) -> list[Path]:
    """Folders of the studies in ``results``, which may also be one study's own folder."""
    found = [results] if (results / "cells").is_dir() else sorted(path.parent for path in results.glob("*/cells"))
    if not found:
        raise ConfigurationError(f"no results in {results}; name the folder that `latent-study run` wrote")
    return found


def ensure_writable(folder: Path) -> None:
    """Makes ``folder`` and tries it with a file, so that a run learns before its work whether it can store any."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise EnvironmentFault(f"cannot write in {folder}: {error.strerror}; choose another --results") from error
