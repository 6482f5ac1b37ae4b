"""Options: what several verbs ask for."""

from __future__ import annotations

import logging
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from study.answers.listing import WIDEST
from study.errors import ConfigurationError
from study.paths import RESULTS, is_url, studies
from study.store import objects

log = logging.getLogger(__name__)

WIDTH = 160
"""Columns of a table that goes to a file or a pipe."""


def terminal_width() -> int:
    """Columns of the terminal; WIDEST, the most that a listing uses, where the output goes to a file or a pipe."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDEST


ResultsFolders = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[RESULTS…]",
        help="Results folders, exports, URLs as s3://bucket/results, or one study's in them; several are joined.",
    ),
]


class Place(NamedTuple):
    """A study and where it lies.

    folder: of the study; of its copy here where it lies at a URL.
    name: what a user knows it by: the folder, or the URL.
    with_weights: keys of cells whose weights are at the URL, whether the copy has them or not.
    left_out: the reason of what is not whole at the URL, by its place there.
    """

    folder: Path
    name: str
    with_weights: frozenset[str] = frozenset()
    left_out: Mapping[str, str] = {}


def places_of(results: str, *, weights: bool = False) -> list[Place]:
    """The studies in a results folder or at a URL, whose copies here are brought up to date.

    results: the folder or URL, or that of one study.
    weights: whether those of cells at a URL come along.

    Raises a StudyError where there is no study.
    """
    if not is_url(results):
        return [Place(folder, str(folder)) for folder in studies(Path(results))]
    places = []
    for mirror in objects.mirrors(results):
        seen = mirror.refresh(weights=weights)
        if waiting := mirror.unpublished():
            log.warning("%s: %d cells that were computed here are not there yet", mirror.url, len(waiting))
        places.append(Place(mirror.store.root, mirror.url, seen.with_weights, seen.left_out))
    return places


def places(results: list[str] | None, *, weights: bool = False) -> list[Place]:
    """The studies in ``results``, one after another; in RESULTS where none is named.

    results: as a user names them.
    weights: whether those of cells at a URL come along.

    Raises a StudyError where one of them has no study.
    """
    return [place for each in results or [str(RESULTS)] for place in places_of(each, weights=weights)]


def study_folders(results: list[str] | None, *, weights: bool = False) -> list[Path]:
    """The folders of :func:`places`; what is not whole at a URL is named in the log.

    results: as a user names them.
    weights: whether those of cells at a URL come along.

    Raises a StudyError where one of them has no study.
    """
    found = places(results, weights=weights)
    for place in found:
        for name, reason in place.left_out.items():
            log.warning("left out: %s: %s", name, reason)
    return [place.folder for place in found]


def folder_at(place: str, option: str) -> Path:
    """The folder that ``place`` names; raises ConfigurationError where it is a URL, which ``option`` does not take."""
    if is_url(place):
        raise ConfigurationError(
            f"expected a folder for {option}; got the URL {place}: write to a folder, and `latent-study gather FOLDER "
            f"--into {place}`"
        )
    return Path(place)
