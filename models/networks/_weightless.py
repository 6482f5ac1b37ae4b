"""Weightless network: the bodies of another one on the meta device, which check shapes and take no memory."""

from __future__ import annotations

from typing import final, override

import torch
from torch import nn

from models.networks._base import Network
from models.shapes import Shapes


@final
class Weightless(Network):
    """Bodies with the shapes of those of ``network`` and weights without values."""

    def __init__(self, network: Network) -> None:
        self._network = network

    @override
    def encoder(self, shapes: Shapes, outputs: int) -> nn.Module:
        with torch.device("meta"):
            return self._network.encoder(shapes, outputs)

    @override
    def decoder(self, shapes: Shapes, outputs: int) -> nn.Module:
        with torch.device("meta"):
            return self._network.decoder(shapes, outputs)
