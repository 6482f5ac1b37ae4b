"""`latent-study verify`: every byte of every stored cell."""

from __future__ import annotations

from study.cli.options import ResultsFolders, study_folders
from study.errors import DataError, say_line
from study.store import Store


def command(results: ResultsFolders = None) -> None:
    """Read every file of every finished cell, weights included, and name those that are not as they were written.

    Other verbs verify what they open. This one is for disks and copies that may have failed.
    """
    damaged = 0
    for folder in study_folders(results):
        store = Store(folder)
        whole, corrupt = store.survey()
        for key, reason in sorted(corrupt.items()):
            say_line(f"{store.folder(key)}: {reason}")
        say_line(f"{folder}: {len(whole)} cells are whole, {len(corrupt)} are not")
        damaged += len(corrupt)
    if damaged:
        raise DataError(
            f"{damaged} cells are not as they were written; `latent-study run` sets them aside and computes them anew"
        )
