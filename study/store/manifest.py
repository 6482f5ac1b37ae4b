"""Manifest: what a stored cell is and where it came from; its hashes decide whether the cell is whole."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, final

from study.design.settings import Settings

SCHEMA_VERSION = 3


@final
class Manifest(Settings):
    """Provenance of one cell.

    files: SHA-256 of each file's bytes, by name.
    images: checksum of the data set's content, as :class:`~study.run.data.ImageData` has it.
    seconds: wall time of the run that finished the cell.
    details: what the cell's own run reports, timings for one.
    """

    schema_version: int
    key: str
    config: dict[str, Any]
    images: str
    files: dict[str, str]
    device: str
    seconds: float
    command: str
    details: dict[str, Any]
    versions: dict[str, str]
    created: str


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def versions() -> dict[str, str]:
    """Versions of what a result depends on, and the git revision of the source where there is one."""
    packages = ("latent-study", "torch", "pyro-ppl", "arviz", "numpy", "xarray")
    numbers = {"python": platform.python_version()}
    for package in packages:
        try:
            numbers[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            numbers[package] = "not installed"
    return numbers | _revision()


def _revision() -> dict[str, str]:
    """The git revision of this source; none where the repository around it is another's, as around an environment."""
    source = Path(__file__)
    git = ["git", "-C", str(source.parent)]
    try:
        for words in (["ls-files", "--error-unmatch", source.name], ["describe", "--always", "--dirty", "--abbrev=12"]):
            done = subprocess.run([*git, *words], capture_output=True, text=True, check=False, timeout=5)
            if done.returncode != 0:
                return {}
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return {"revision": done.stdout.strip()}
