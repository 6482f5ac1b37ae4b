"""A data set that is drawn from a formula."""

from ._extension import Addition, Extension

SOUND = Addition(
    "stripes",
    "study/run/data/datasets/stripes.py",
    '''"""Stripes: images of one frequency each."""

from __future__ import annotations

from pathlib import Path
from typing import final

import torch

from study.measurement.images import ImageData, checksum, digest, held_out_split
from study.run.data.resizing import resized
from study.run.data.datasets._base import Dataset


@final
class Stripes(Dataset):
    """Forty images of stripes, 9×9, two classes."""

    reference = "a test"
    image_shape = (1, 9, 9)
    bundled = True

    def read(self, root: Path, *, image_size: int | None, download: bool) -> ImageData:
        """Drawn from their formula."""
        waves = torch.sin(torch.outer(torch.arange(1.0, 41.0), torch.arange(9.0))) / 2 + 0.5
        images = resized(waves[:, None, None].expand(-1, 1, 9, 9), image_size)
        labels = torch.arange(40) % 2
        training, held_out = held_out_split(labels)
        return ImageData(
            name=self.name,
            images=images[training],
            labels=labels[training],
            held_out_images=images[held_out],
            held_out_labels=labels[held_out],
            class_names=("even", "odd"),
            checksum=checksum({"waves": digest(waves.numpy().tobytes())}),
            verification="drawn",
        )
''',
)
EXTENSION = Extension(
    laws=("tests/study/run/data/test_laws.py",),
    sound=SOUND,
    faulty={
        "of another shape than it promises": SOUND.changed(("image_shape = (1, 9, 9)", "image_shape = (1, 8, 8)")),
        "other images each time": SOUND.changed(
            ("stripes", "stripes_by_chance"), ("torch.arange(1.0, 41.0)", "torch.rand(40)")
        ),
    },
)
