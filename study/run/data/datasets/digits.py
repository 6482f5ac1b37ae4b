"""Digits: the 8×8 handwritten digits that scikit-learn bundles (the test set of the UCI optical recognition data)."""

from __future__ import annotations

from pathlib import Path
from typing import final, override

import numpy as np
import torch
from sklearn.datasets import load_digits

from study.measurement.images import ImageData, checksum, digest, held_out_split
from study.run.data.datasets._base import Dataset
from study.run.data.resizing import resized


@final
class Digits(Dataset):
    """1,797 handwritten digits, 8×8, 17 grey levels, 10 classes; bundled, nothing to download; 80/20 split."""

    reference = "Alpaydin & Kaynak 1998, doi:10.24432/C50P49"
    image_shape = (1, 8, 8)
    bundled = True
    num_images = 1_437
    num_held_out = 360

    @override
    def read(self, root: Path, *, image_size: int | None, download: bool) -> ImageData:
        """The bundled copy; ``root`` and ``download`` have nothing to do."""
        bundle = load_digits()
        levels, labels = bundle.images.astype(np.uint8), bundle.target.astype(np.uint8)
        images = resized(torch.from_numpy(levels).unsqueeze(1).float() / 16, image_size)
        targets = torch.from_numpy(labels).long()
        training, held_out = held_out_split(targets)
        return ImageData(
            name=self.name,
            images=images[training],
            labels=targets[training],
            held_out_images=images[held_out],
            held_out_labels=targets[held_out],
            class_names=tuple(str(name) for name in bundle.target_names),
            checksum=checksum({"images": digest(levels.tobytes()), "labels": digest(labels.tobytes())}),
            verification="bundled with scikit-learn",
        )
