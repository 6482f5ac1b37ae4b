r"""Features in which decoded images are compared where they have no labels to train a classifier by.

The default is a convolutional network of random weights, of one seed: distances in such features need no downloaded
weights and no labels, and order large differences as trained ones do (Naeem et al. 2020, arXiv:2002.09797, section
4.2); fine ones they miss, and their scale means nothing outside one set of images.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from analysis.randomness import seeded, stream
from study.errors import DataError
from study.measurement.classifier import CHUNK, Network

UNTRAINED = "features of an untrained network"
CALLERS = "features of the caller"


class UntrainedFeatures:
    """Features ``(M, 64)`` of the classifier's network with its initial weights.

    Args:
        image_shape: (C, H, W).
        device: of the images.
    """

    flag = UNTRAINED

    def __init__(self, image_shape: tuple[int, int, int], device: torch.device) -> None:
        with seeded(stream(0, "untrained features")):
            self._network = Network(image_shape, 2).double().eval().requires_grad_(False).to(device)

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Features ``(M, 64)``, float64, of ``images`` ``(M, C, H, W)``."""
        return torch.cat([self._network.body(chunk.double()) for chunk in images.split(CHUNK)])


class GivenFeatures:
    """Features as a function gives them.

    Args:
        features: images ``(m, C, H, W)`` in [0, 1] to ``(m, F)``.
    """

    flag = CALLERS

    def __init__(self, features: Callable[[Tensor], Tensor]) -> None:
        self._given = features

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Features ``(M, F)``, float64, of ``images`` ``(M, C, H, W)``."""
        blocks = [self._given(chunk) for chunk in images.split(CHUNK)]
        for block, chunk in zip(blocks, images.split(CHUNK), strict=True):
            if not isinstance(block, Tensor) or block.ndim != 2 or len(block) != len(chunk):
                got = tuple(block.shape) if isinstance(block, Tensor) else type(block).__name__
                raise DataError(f"features must give ({len(chunk)}, F) for {len(chunk)} images; got {got}")
        return torch.cat(blocks).double()
