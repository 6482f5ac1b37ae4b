"""Convolutional bodies: two strided convolutions to a quarter of the side, one dense layer, and the mirror image."""

from __future__ import annotations

from typing import final, override

from torch import nn

from models.networks._base import Layout, Network
from models.networks._up_convolution import UpConvolution
from models.options import Count
from models.shapes import Shapes


@final
class Conv(Network):
    """Two stride-2 convolutions and a dense layer; sides of images must be multiples of 4.

    channels: of either convolution.
    hidden: units of the dense layer.
    """

    reference = "Radford et al. 2016, arXiv:1511.06434"

    def __init__(self, *, channels: tuple[Count, Count] = (32, 64), hidden: Count = 256) -> None:
        self.channels = channels
        self.hidden = hidden

    def _bottleneck(self, shapes: Shapes) -> tuple[int, int, int]:
        _, height, width = shapes.image_shape
        if height % 4 or width % 4:
            raise ValueError(
                f"network conv needs image sides that are multiples of 4; got {height}×{width}; "
                "set image_size, or use network=mlp"
            )
        return self.channels[1], height // 4, width // 4

    @override
    def encoder(self, shapes: Shapes, outputs: int) -> nn.Module:
        first, second = self.channels
        channels, height, width = self._bottleneck(shapes)
        return nn.Sequential(
            nn.Conv2d(shapes.image_shape[0], first, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(first, second, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(channels * height * width, self.hidden),
            nn.ReLU(),
            nn.Linear(self.hidden, outputs * shapes.latent_dim),
            Layout(outputs, shapes.latent_shape),
        )

    @override
    def decoder(self, shapes: Shapes, outputs: int) -> nn.Module:
        first, second = self.channels
        channels, height, width = self._bottleneck(shapes)
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(shapes.latent_dim, self.hidden),
            nn.ReLU(),
            nn.Linear(self.hidden, channels * height * width),
            nn.ReLU(),
            nn.Unflatten(1, (channels, height, width)),
            UpConvolution(second, first),
            nn.ReLU(),
            UpConvolution(first, outputs * shapes.image_shape[0]),
            Layout(outputs, shapes.image_shape),
        )
