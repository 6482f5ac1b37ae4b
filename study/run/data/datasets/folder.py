"""Folder: any directory of images, one sub-folder per class (torchvision's ``ImageFolder``) or none at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, final

import numpy as np
import torch
from torch import Tensor

from study.errors import DataError
from study.images import ImageData, checksum, digest, held_out_split, resized
from study.run.data.datasets._base import Dataset

if TYPE_CHECKING:
    from torchvision.datasets import ImageFolder


@final
class Folder(Dataset):
    """The images of the directory given as data root; sub-folders are classes; 80/20 split.

    colour: keep red, green and blue; otherwise luma (ITU-R 601). Transparency is dropped. Images of different sizes
    need an ``image_size``: the shorter side is resampled to it and the centre of the longer one kept.
    """

    reference = "torchvision.datasets.ImageFolder"

    def __init__(self, *, colour: bool = False) -> None:
        self.colour = colour

    def read(self, root: Path, *, image_size: int | None, download: bool) -> ImageData:
        """Decoded images of ``root``; there is nothing to download."""
        folder = _collection(root)
        digests = {}
        images = torch.empty(0)
        for index, (name, _) in enumerate(folder.samples):
            path = Path(name)
            image = resized(self._decode(path).unsqueeze(0), image_size).squeeze(0)
            if index == 0:
                images = image.new_empty(len(folder), *image.shape)
            elif image.shape != images.shape[1:]:
                first, other = ("×".join(map(str, reversed(shape[-2:]))) for shape in (images.shape, image.shape))
                raise DataError(f"{path} has {other} pixels and the images before it {first}; set image_size")
            images[index] = image
            digests[path.relative_to(root).as_posix()] = digest(path.read_bytes())
        labels = torch.tensor(folder.targets, dtype=torch.int64)
        if len(labels) < 2:
            raise DataError(f"{root} holds one image; training and held-out images need at least two")
        training, held_out = held_out_split(labels)
        return ImageData(
            name=self.name,
            images=images[training],
            labels=labels[training],
            held_out_images=images[held_out],
            held_out_labels=labels[held_out],
            class_names=tuple(folder.classes),
            checksum=checksum(digests),
            verification="decoded",
        )

    def _decode(self, path: Path) -> Tensor:
        """One image as float32 ``(C, H, W)`` in [0, 1]."""
        from PIL import Image  # noqa: PLC0415

        try:
            with Image.open(path) as image:
                # Pillow would clip deeper pixels to 8 bits.
                if image.mode.startswith(("I", "F")):
                    raise DataError(f"{path} has pixels of more than 8 bits; convert it to 8 bits")
                pixels = np.array(image.convert("RGB" if self.colour else "L"))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise DataError(f"{path} cannot be decoded ({error}); replace or remove it") from error
        return torch.from_numpy(np.atleast_3d(pixels)).permute(2, 0, 1).float() / 255


def _collection(root: Path) -> ImageFolder:
    """The files and classes of ``root``; hidden folders are no classes."""
    from torchvision.datasets import ImageFolder  # noqa: PLC0415
    from torchvision.datasets.folder import IMG_EXTENSIONS  # noqa: PLC0415

    class Collection(ImageFolder):
        def find_classes(self, directory: str | Path) -> tuple[list[str], dict[str, int]]:
            names = sorted(
                entry.name for entry in os.scandir(directory) if entry.is_dir() and not entry.name.startswith(".")
            )
            return (names, {name: label for label, name in enumerate(names)}) if names else ([root.name], {".": 0})

    if not root.is_dir():
        raise DataError(f"folder: {root} is not a directory; give the directory of images as --data-root")
    try:
        folder = Collection(root)
    except OSError as error:
        raise DataError(f"folder: {root}: {str(error).rstrip('.')}; add images or remove the empty folder") from error
    stray = [path.name for path in root.iterdir() if path.name.lower().endswith(IMG_EXTENSIONS)]
    if stray and folder.class_to_idx.keys() != {"."}:
        raise DataError(
            f"folder: {root} holds both class folders ({folder.classes[0]}, …) and images ({min(stray)}, …); "
            "move the images into a class folder, or the folders away"
        )
    return folder
