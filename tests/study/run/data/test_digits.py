"""The bundled digits."""

from __future__ import annotations

import hashlib

import numpy as np
import torch

from study.run.data.loading import load


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    data, bundle = load("digits"), load_digits()
    assert data.image_shape == (1, 8, 8)
    assert data.images.dtype == torch.float32
    assert (len(data.images), len(data.held_out_images)) == (1437, 360)
    pairs = {
        (image.numpy().tobytes(), int(label))
        for images, labels in ((data.images, data.labels), (data.held_out_images, data.held_out_labels))
        for image, label in zip(images, labels, strict=True)
    }
    assert pairs == {
        ((image / 16).astype(np.float32).tobytes(), int(label))
        for image, label in zip(bundle.images, bundle.target, strict=True)
    }
    assert data.class_names == tuple("0123456789")
    levels, labels = (values.astype(np.uint8).tobytes() for values in (bundle.images, bundle.target))
    assert data.checksum == sha256(f"{sha256(levels)}  images\n{sha256(labels)}  labels\n".encode())
