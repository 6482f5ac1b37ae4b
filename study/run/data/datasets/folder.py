"""Folder: any directory of images, one sub-folder per class (as torchvision's ``ImageFolder``) or none at all."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Literal, final, override

import torch
from torch import Tensor

from study.errors import DataError
from study.files import printable
from study.measurement.images import ImageData, checksum, digest, held_out_split
from study.run.data.collection import Collection, collect
from study.run.data.datasets._base import Dataset
from study.run.data.decoded import Decoded, decoded
from study.run.data.decoding import content_of, decode
from study.run.data.resizing import require_memory, resized


@final
class Folder(Dataset):
    """The images of the directory given as data root; sub-folders are classes; 80/20 split, or train and test folders.

    colour: keep red, green and blue; otherwise luma (ITU-R 601).
    background: what transparent images lie on, ``white`` or ``black``.

    Images of different sizes need an ``image_size``: the shorter side is resampled to it and the centre of the longer
    one kept. Which files are read: :mod:`study.run.data.collection`; how: :mod:`study.run.data.decoding`.
    """

    reference = "torchvision.datasets.ImageFolder"

    def __init__(self, *, colour: bool = False, background: Literal["white", "black"] = "white") -> None:
        self.colour = colour
        self.background = background

    @override
    def look(self, root: Path) -> None:
        """DataError where ``root`` is no directory."""
        if not root.is_dir():
            raise DataError(
                f"{self.name}: {printable(root)} is not a directory; give the directory of images as --data-root"
            )

    @override
    def read(self, root: Path, *, image_size: int | None, download: bool) -> ImageData:
        """Decoded images of ``root``; there is nothing to download."""
        self.look(root)
        files = collect(root)
        digests = [digest(content_of(path)) for path in files.paths]
        content = checksum(
            {path.relative_to(root).as_posix(): value for path, value in zip(files.paths, digests, strict=True)}
        )
        key = f"{content} {self.colour} {self.background} {image_size}"
        images = decoded(key, partial(self._decoded, files, digests, image_size))
        if len(files.paths) < 2:
            raise DataError(
                f"{self.name}: {printable(root)} holds one image; training and held-out images need at least two"
            )
        labels = torch.tensor(files.labels)
        training, held_out = held_out_split(labels) if files.held_out is None else _published(files.held_out)
        return ImageData(
            name=self.name,
            images=images.images(training),
            labels=labels[training],
            held_out_images=images.images(held_out),
            held_out_labels=labels[held_out],
            class_names=tuple(map(printable, files.classes)),
            checksum=content,
            verification="decoded",
            notes=(*files.notes, *self._notes(images), *_leakage(digests, training, held_out)),
        )

    def _decoded(self, files: Collection, digests: list[str], image_size: int | None) -> Decoded:
        pixels = torch.empty(0)
        counts = {"transparent": 0, "animated": 0}
        for index, (path, expected) in enumerate(zip(files.paths, digests, strict=True)):
            content = content_of(path)
            if digest(content) != expected:
                raise DataError(f"{printable(path)} changed while it was read; run again once the images rest")
            picture = decode(content, path, colour=self.colour, background=self.background)
            image = picture.pixels
            if image_size is not None:
                image = resized(image.float().div_(255).unsqueeze(0), image_size).squeeze(0)
            if index == 0:
                # Bytes here, and four times as many as floats later.
                require_memory(len(files.paths), tuple(image.shape), value_bytes=4 + image.element_size())
                pixels = image.new_empty(len(files.paths), *image.shape)
            elif image.shape != pixels.shape[1:]:
                first, other = ("×".join(map(str, reversed(shape[-2:]))) for shape in (pixels.shape, image.shape))
                raise DataError(
                    f"{printable(path)} has {other} pixels and the images before it {first}; set image_size"
                )
            pixels[index] = image
            counts["transparent"] += picture.transparent
            counts["animated"] += picture.animated
        return Decoded(pixels, counts)

    def _notes(self, images: Decoded) -> list[str]:
        transparent, animated = images.counts["transparent"], images.counts["animated"]
        notes = []
        if transparent:
            notes.append(
                f"{self.name}: {transparent:,} images are transparent in places and lie on {self.background} "
                "(dataset.background)"
            )
        if animated:
            notes.append(f"{self.name}: {animated:,} files hold several frames, of which the first is read")
        return notes


def _published(held_out: list[bool]) -> tuple[Tensor, Tensor]:
    """Indices of the training and held-out images of a published split."""
    mask = torch.tensor(held_out)
    return torch.nonzero(~mask).squeeze(1), torch.nonzero(mask).squeeze(1)


def _leakage(digests: list[str], training: Tensor, held_out: Tensor) -> list[str]:
    """A sentence on held-out files that are among the training files too, byte for byte."""
    known = {digests[index] for index in training.tolist()}
    if copies := sum(digests[index] in known for index in held_out.tolist()):
        return [f"folder: {copies:,} of {len(held_out):,} held-out images are byte for byte training images too"]
    return []
