"""Dataset: the author's recipe for reading a collection of images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from models.options import Configurable
from study.measurement.images import ImageData


class Dataset(Configurable, ABC):
    """A named collection of images.

    To add one: one file in this folder with one final subclass, whose constructor takes typed keyword-only options if
    any, whose docstring's first line describes the images and whose ``reference`` names their source. A library that is
    slow to import is imported by ``read``, so that listing the data sets stays quick.
    """

    family = "dataset"
    reference: ClassVar[str] = ""
    image_shape: ClassVar[tuple[int, int, int] | None] = None
    """Channels, height and width as stored, where they are known before the files are read."""
    num_images: ClassVar[int | None] = None
    """Number of training images, where it is known before the files are read."""
    num_held_out: ClassVar[int | None] = None
    """Number of held-out images, where it is known before the files are read."""
    mapped: ClassVar[bool] = False
    """Whether images stay in their file and are read as they are needed, so that they need not fit into memory."""
    bundled: ClassVar[bool] = False
    """Whether the images come with a library, so that there is no folder to look for: ``root`` is then empty."""

    def look(self, root: Path) -> None:  # most data sets can be fetched, and have nothing to say yet
        """Raises DataError where a glance at ``root`` shows that :meth:`read` would."""

    @abstractmethod
    def read(self, root: Path, *, image_size: int | None, download: bool) -> ImageData:
        """The images, verified.

        root: folder under which they are looked for.
        image_size: side of the square images in pixels; ``None`` as stored.
        download: fetch absent files.

        Raises DataError where they are absent or corrupt.
        """
