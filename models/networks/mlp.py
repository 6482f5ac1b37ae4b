"""Multilayer perceptron bodies: image and latent are flattened; the decoder mirrors the encoder."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import final, override

from torch import nn

from models.networks._base import Layout, Network
from models.options import Widths
from models.shapes import Shapes


def _mlp(sizes: tuple[int, ...], out: int, shape: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Flatten()]
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], out * math.prod(shape)), Layout(out, shape))


@final
class MLP(Network):
    """ReLU layers, for example 784-400-400-D and back.

    hidden: units of each layer of a body, from the image to the latent.
    """

    reference = "Kingma & Welling 2014, arXiv:1312.6114"

    def __init__(self, *, hidden: Widths = (400, 400)) -> None:
        self.hidden = hidden

    @override
    def encoder(self, shapes: Shapes, outputs: int) -> nn.Module:
        return _mlp((math.prod(shapes.image_shape), *self.hidden), outputs, shapes.latent_shape)

    @override
    def decoder(self, shapes: Shapes, outputs: int) -> nn.Module:
        return _mlp((shapes.latent_dim, *reversed(self.hidden)), outputs, shapes.image_shape)
