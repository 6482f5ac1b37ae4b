"""Convolutional bodies: two strided convolutions to a quarter of the side, one dense layer, and the mirror image."""

from __future__ import annotations

from typing import final, override

from torch import nn

from models.context import Context
from models.networks._base import Layout, Network


@final
class Conv(Network):
    """Stride-2 convolutions with ``channels``, then a dense layer of ``hidden`` units; sides must be multiples of 4."""

    reference = "Radford et al. 2016, arXiv:1511.06434"

    def __init__(self, *, channels: tuple[int, int] = (32, 64), hidden: int = 256) -> None:
        if min(*channels, hidden) < 1:
            raise ValueError(f"network.channels and hidden must be positive; got {list(channels)} and {hidden}")
        self.channels = tuple(channels)
        self.hidden = hidden

    def _bottleneck(self, context: Context) -> tuple[int, int, int]:
        _, height, width = context.image_shape
        if height % 4 or width % 4:
            raise ValueError(
                f"network conv needs image sides that are multiples of 4; got {height}×{width}; "
                "set image_size, or use network=mlp"
            )
        return self.channels[1], height // 4, width // 4

    @override
    def encoder(self, context: Context, outputs: int) -> nn.Module:
        first, second = self.channels
        channels, height, width = self._bottleneck(context)
        return nn.Sequential(
            nn.Conv2d(context.image_shape[0], first, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(first, second, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(channels * height * width, self.hidden),
            nn.ReLU(),
            nn.Linear(self.hidden, outputs * context.latent_dim),
            Layout(outputs, context.latent_shape),
        )

    @override
    def decoder(self, context: Context, outputs: int) -> nn.Module:
        first, second = self.channels
        channels, height, width = self._bottleneck(context)
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(context.latent_dim, self.hidden),
            nn.ReLU(),
            nn.Linear(self.hidden, channels * height * width),
            nn.ReLU(),
            nn.Unflatten(1, (channels, height, width)),
            nn.ConvTranspose2d(second, first, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(first, outputs * context.image_shape[0], 4, stride=2, padding=1),
            Layout(outputs, context.image_shape),
        )
