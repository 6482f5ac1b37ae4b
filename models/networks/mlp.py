"""Multilayer perceptron bodies: image and latent are flattened; the decoder mirrors the encoder."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import final, override

from torch import nn

from models.context import Context
from models.networks._base import Layout, Network


def _mlp(sizes: tuple[int, ...], out: int, shape: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Flatten()]
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], out * math.prod(shape)), Layout(out, shape))


@final
class MLP(Network):
    """``hidden`` ReLU layers in each body, for example 784-400-400-D and back."""

    reference = "Kingma & Welling 2014, arXiv:1312.6114"

    def __init__(self, *, hidden: tuple[int, ...] = (400, 400)) -> None:
        if not hidden or min(hidden) < 1:
            raise ValueError(f"network.hidden must be one or more positive widths; got {list(hidden)}")
        self.hidden = tuple(hidden)

    @override
    def encoder(self, context: Context, outputs: int) -> nn.Module:
        return _mlp((math.prod(context.image_shape), *self.hidden), outputs, context.latent_shape)

    @override
    def decoder(self, context: Context, outputs: int) -> nn.Module:
        return _mlp((context.latent_dim, *reversed(self.hidden)), outputs, context.image_shape)
