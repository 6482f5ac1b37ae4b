r"""Untrained features: those of a convolutional network of random weights, of one seed.

Distances in such features need no downloaded weights and no labels, and order large differences as trained ones do
(Naeem et al. 2020, arXiv:2002.09797, section 4.2); fine ones they miss, and their scale means nothing outside one set
of images.
"""

from __future__ import annotations

import torch
from torch import Tensor

from analysis.randomness import seeded, stream
from study.measurement.classifier import CHUNK, Network
from study.measurement.stored_images import Images

UNTRAINED = "features of an untrained network"


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
    def features(self, images: Images) -> Tensor:
        """Features ``(M, 64)``, float64, of ``images`` ``(M, C, H, W)``."""
        return torch.cat([self._network.body(chunk.double()) for chunk in images.split(CHUNK)])
