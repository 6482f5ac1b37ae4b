"""Manifest: what a stored cell is and where it came from; its hashes, one of itself among them, decide whether the cell
is whole.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
import subprocess
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Any, final

from pydantic import AfterValidator, Field

from study.design.cell import key_of
from study.design.settings import Settings
from study.store.reading import Corrupt, cell_of

SCHEMA_VERSION = 4

READ_VERSIONS = (3, SCHEMA_VERSION)
"""Versions that are read; the manifests of version 3 have no hash of themselves."""

Scalar = str | int | float | bool | None


def _date(text: str) -> str:
    datetime.fromisoformat(text)
    return text


Date = Annotated[str, AfterValidator(_date)]
Seconds = Annotated[float, Field(ge=0, le=1e10)]


@final
class Manifest(Settings):
    """Provenance of one cell.

    files: SHA-256 of each file's bytes, by name.
    images: checksum of the data set's content, as :class:`~study.run.data.ImageData` has it.
    seconds: wall time of the run that finished the cell.
    details: what the cell's own run reports, timings for one; of a diagnosis whether it was ``interrupted``, and the
        step that it is ``missing_from``.
    digest: SHA-256 of all the rest, see :meth:`sealed`; empty in version 3.
    """

    schema_version: int
    key: str
    config: dict[str, Any]
    images: str
    files: dict[str, str]
    device: str
    seconds: Seconds
    command: str
    details: dict[str, Scalar]
    versions: dict[str, str]
    created: Date
    digest: str = ""

    def sealed(self) -> Manifest:
        """This manifest with the digest of its content."""
        return self.model_copy(update={"digest": self._content()})

    @property
    def is_intact(self) -> bool:
        """Whether its content is what was sealed; one of version 3 has nothing to tell it by."""
        return self.digest == (self._content() if self.schema_version == SCHEMA_VERSION else "")

    @property
    def interruption(self) -> tuple[str, ...]:
        """Lines that say what an interrupted diagnosis lacks, and what measures it; none of all that is complete."""
        if not self.details.get("interrupted"):
            return ()
        step = self.details.get("missing_from")
        missing = f"{step} and every later step" if step else "what came after the interruption"
        return f"missing: {missing}", f"the same command measures it anew: {self.command}"

    def _content(self) -> str:
        plain = json.loads(self.model_dump_json(exclude={"digest"}))
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def check(manifest: Manifest, key: str) -> None:
    """Raises Corrupt unless a manifest is of a version that is read, and of the cell that it stands for.

    manifest: of a cell.
    key: of the cell.
    """
    if manifest.schema_version not in READ_VERSIONS:
        raise Corrupt(f"schema version {manifest.schema_version}, where {SCHEMA_VERSION} is read")
    cell_of(manifest.config)
    if not manifest.key == key == key_of(manifest.config):
        raise Corrupt("its configuration is another cell's")


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
