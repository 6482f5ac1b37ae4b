"""Loading: a named data set, found or fetched, verified, resized and limited."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import platformdirs

from study.design.families import DATASETS
from study.design.registry import UnknownName
from study.errors import ConfigurationError, DataError, EnvironmentFault, StudyError
from study.measurement.images import ImageData

ROOT_VARIABLE = "LATENT_STUDY_DATA"
MAX_IMAGE_SIZE = 8_192
"""Largest side to which images are resized."""


def data_root(root: Path | None = None) -> Path:
    """``root``, else the environment variable ``LATENT_STUDY_DATA``, else the user's data directory.

    Raises EnvironmentFault where that needs a home directory and there is none.
    """
    chosen = root or os.environ.get(ROOT_VARIABLE)
    try:
        return Path(chosen or platformdirs.user_data_path("latent-study", appauthor=False)).expanduser()
    except RuntimeError as error:
        raise EnvironmentFault(
            f"data sets are looked for in {chosen or 'the home directory'}, and no home directory is known; "
            f"name a folder by {ROOT_VARIABLE} or --data-root"
        ) from error


def look(name: str, *, root: Path | None = None, **options: Any) -> None:
    """Raises DataError where a glance at a folder shows that :func:`load` would.

    name: of the data set.
    root: see :func:`data_root`.
    options: of the data set.
    """
    dataset = DATASETS[name]
    if not dataset.bundled:
        dataset(**options).look(data_root(root))


def load(
    name: str,
    *,
    root: Path | None = None,
    image_size: int | None = None,
    limit: int | None = None,
    download: bool = False,
    quiet: bool = False,
    **options: Any,
) -> ImageData:
    """The data set ``name``, verified, on the CPU.

    root: see :func:`data_root`; for ``folder``, the directory of images itself.
    image_size: side of the images in pixels; ``None`` as stored.
    limit: keep that many training images, of one seeded order; held-out images are all kept.
    download: fetch absent files.
    quiet: do not print the data's ``notes`` on stderr.
    options: keyword options of the data set, as ``colour`` of ``folder``.

    Raises ``ConfigurationError`` for a request that no files could satisfy, ``DataError`` for absent or corrupt files,
    images that are all alike, and whatever the reader of an added data set raises.
    """
    try:
        dataset = DATASETS[name]
        unknown = options.keys() - DATASETS.options(name).keys()
        if unknown:
            raise UnknownName(f"option of dataset {name}", min(unknown), DATASETS.options(name))
    except UnknownName as error:
        raise ConfigurationError(str(error)) from error
    if image_size is not None and not 1 <= image_size <= MAX_IMAGE_SIZE:
        expected = "a positive number of pixels" if image_size < 1 else f"at most {MAX_IMAGE_SIZE:,} pixels"
        raise ConfigurationError(f"image_size must be {expected}; got {image_size}")
    try:
        reader = dataset(**options)
    except ValueError as error:
        raise ConfigurationError(f"dataset {name}: {error}") from error
    data = _read(name, reader, root, image_size, download)
    if not quiet:
        for note in data.notes:
            print(note, file=sys.stderr)
    if limit is None:
        return data
    try:
        return data.limited(limit)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


def _read(name: str, dataset: Any, root: Path | None, image_size: int | None, download: bool) -> ImageData:
    """Images from the reader of ``dataset``, checked to be images; exceptions of the reader become DataError."""
    place = Path() if dataset.bundled else data_root(root)
    try:
        data = dataset.read(place, image_size=image_size, download=download)
    except StudyError:
        raise
    # A data set may come from any package, whose reader raises what it likes where files are not as it expects.
    except Exception as error:
        reason = " ".join(str(error).split()) or "no reason given"
        raise DataError(
            f"dataset {name} cannot be read ({type(error).__name__}: {reason}); look at its files and at its reader, "
            f"{type(dataset).__module__}"
        ) from error
    if not isinstance(data, ImageData):
        raise DataError(f"dataset {name}: its reader must give ImageData; got {type(data).__name__}")
    if image_size is not None and data.image_shape[1:] != (image_size, image_size):
        raise DataError(
            f"dataset {name}: its reader must give images of {image_size}×{image_size} where image_size={image_size}; "
            f"got {data.image_shape}"
        )
    if data.alike:
        number = len(data.images) + len(data.held_out_images)
        decided = f" ({'; '.join(data.notes)})" if data.notes else ""
        raise DataError(f"dataset {name}: all {number:,} images are alike{decided}; give images that differ")
    return data
