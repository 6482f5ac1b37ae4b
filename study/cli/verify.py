"""`latent-study verify`: every byte of every stored cell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from study.cli.options import ResultsFolders
from study.errors import DataError, say_line
from study.paths import RESULTS, is_url, studies
from study.store import Store, objects


def command(results: ResultsFolders = None) -> None:
    """Read every file of every finished cell, weights included, and name those that are not as they were written.

    Other verbs verify what they open. This one is for disks and copies that may have failed; of a URL it reads what is
    there, and not the copy that other verbs keep.
    """
    damaged = 0
    for place in results or [str(RESULTS)]:
        for name, whole, corrupt in _of_url(place) if is_url(place) else _of_folder(Path(place)):
            for cell, reason in sorted(corrupt.items()):
                say_line(f"{cell}: {reason}")
            say_line(f"{name}: {whole} cells are whole, {len(corrupt)} are not")
            damaged += len(corrupt)
    if damaged:
        raise DataError(
            f"{damaged} cells are not as they were written; `latent-study run` sets those of a folder aside and "
            "computes them anew; from a URL they must be removed first"
        )


def _of_folder(results: Path) -> Iterator[tuple[str, int, dict[str, str]]]:
    """Each study, how many of its cells are whole, and the reason of each other by its place."""
    for folder in studies(results):
        store = Store(folder)
        whole, corrupt = store.survey()
        yield str(folder), len(whole), {str(store.folder(key)): reason for key, reason in corrupt.items()}


def _of_url(url: str) -> Iterator[tuple[str, int, dict[str, str]]]:
    """The same of a URL."""
    for mirror in objects.mirrors(url):
        yield mirror.url, *mirror.verify()
