"""Multilayer perceptron bodies: image and latent are flattened; the decoder mirrors the encoder."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal, final, override

from torch import nn

from models.networks._base import Layout, Network
from models.options import Widths
from models.shapes import Shapes

_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh}


def _mlp(sizes: tuple[int, ...], out: int, shape: tuple[int, ...], activation: str) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Flatten()]
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), _ACTIVATIONS[activation]()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], out * math.prod(shape)), Layout(out, shape))


@final
class MLP(Network):
    """Dense layers, for example 784-400-400-D and back.

    hidden: units of each layer of a body, from the image to the latent.
    activation: of those units; tanh is that of the tables of Burda et al. 2016, arXiv:1509.00519.
    """

    reference = "Kingma & Welling 2014, arXiv:1312.6114"

    def __init__(self, *, hidden: Widths = (400, 400), activation: Literal["relu", "tanh"] = "relu") -> None:
        self.hidden = hidden
        self.activation = activation

    @override
    def encoder(self, shapes: Shapes, outputs: int) -> nn.Module:
        return _mlp((math.prod(shapes.image_shape), *self.hidden), outputs, shapes.latent_shape, self.activation)

    @override
    def decoder(self, shapes: Shapes, outputs: int) -> nn.Module:
        return _mlp((shapes.latent_dim, *reversed(self.hidden)), outputs, shapes.image_shape, self.activation)
