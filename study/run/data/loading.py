"""Loading: a named data set, found or fetched, verified, resized and limited."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import platformdirs

from study.design.families import DATASETS
from study.design.registry import UnknownName
from study.errors import ConfigurationError
from study.images import ImageData

ROOT_VARIABLE = "LATENT_STUDY_DATA"


def data_root(root: Path | None = None) -> Path:
    """``root``, else the environment variable ``LATENT_STUDY_DATA``, else the user's data directory."""
    chosen = root or os.environ.get(ROOT_VARIABLE) or platformdirs.user_data_path("latent-study", appauthor=False)
    return Path(chosen).expanduser()


def load(
    name: str,
    *,
    root: Path | None = None,
    image_size: int | None = None,
    limit: int | None = None,
    download: bool = False,
    **options: Any,
) -> ImageData:
    """The data set ``name``, verified, on the CPU.

    root: see :func:`data_root`; for ``folder``, the directory of images itself.
    image_size: side of the images in pixels; ``None`` as stored.
    limit: keep that many training images, of one seeded order; held-out images are all kept.
    download: fetch absent files.
    options: keyword options of the data set, as ``colour`` of ``folder``.

    Raises ``ConfigurationError`` for a request that no files could satisfy, ``DataError`` for absent or corrupt files.
    """
    try:
        dataset = DATASETS[name]
        unknown = options.keys() - DATASETS.options(name).keys()
        if unknown:
            raise UnknownName(f"option of dataset {name}", min(unknown), DATASETS.options(name))
    except UnknownName as error:
        raise ConfigurationError(str(error)) from error
    if image_size is not None and image_size < 1:
        raise ConfigurationError(f"image_size must be a positive number of pixels; got {image_size}")
    data = dataset(**options).read(data_root(root), image_size=image_size, download=download)
    if limit is None:
        return data
    try:
        return data.limited(limit)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
