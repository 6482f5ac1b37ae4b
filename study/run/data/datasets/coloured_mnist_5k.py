"""Coloured MNIST 5k: the images of :mod:`study.run.data.datasets.mnist_5k`, each in two colours of its own.

With v ∈ [0, 1] the grey level of a pixel, f the colour of the strokes and b that of the ground, both drawn once for an
image and without regard to its class,

    x = b + v (f − b),    f ~ U[0.5, 1]³,    b ~ U[0, 0.4]³,

so that six numbers say what the digit does not, and every pixel depends on them. (Arjovsky et al. 2019 colour by the
class, to mislead a classifier; colours here are independent of it.)
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import final, override

import torch
from torch import Tensor

from analysis.randomness import stream
from study.measurement.images import ImageData
from study.run.data.datasets._base import Dataset
from study.run.data.datasets.mnist_5k import SIDE, Mnist5k

STROKE, GROUND = (0.5, 1.0), (0.0, 0.4)
"""Ranges of the colours in each channel; strokes are brighter than the ground."""


@final
class ColouredMnist5k(Dataset):
    """The 5,000 digits of mnist_5k, each with a random colour of strokes and ground, 3×28×28; nothing to download."""

    reference = "after Arjovsky et al. 2019, arXiv:1907.02893"
    image_shape = (3, SIDE, SIDE)
    bundled = True
    num_images = 4_000
    num_held_out = 1_000

    @override
    def read(self, root: Path, *, image_size: int | None, download: bool) -> ImageData:
        """The bundled digits, coloured; ``root`` and ``download`` have nothing to do."""
        grey = Mnist5k().read(root, image_size=image_size, download=download)
        return replace(
            grey,
            name=self.name,
            images=coloured(grey.images[:], "training"),
            held_out_images=coloured(grey.held_out_images[:], "held out"),
            verification=f"{grey.verification}; coloured by a seeded draw",
        )


def coloured(images: Tensor, split: str) -> Tensor:
    """Grey ``images`` ``(N, 1, H, W)`` in colour, ``(N, 3, H, W)``, the same whenever it is called.

    images: in [0, 1].
    split: names the stream of random numbers.
    """
    levels = torch.rand(2, len(images), 3, 1, 1, generator=stream(0, "colours", split))
    stroke, ground = (low + (high - low) * level for level, (low, high) in zip(levels, (STROKE, GROUND), strict=True))
    return torch.lerp(ground, stroke, images)
