r"""Gated bodies: layers of a multilayer perceptron, each of whose units has a gate,

    h = (W x + b) ⊙ σ(V x + c),

so that a unit can be shut without its neighbours (Dauphin et al. 2017, arXiv:1612.08083, equation 1). These are the
networks of the published tables of learned priors on dynamically binarised MNIST (Tomczak & Welling 2018).
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import final, override

from torch import nn

from models.networks._base import Layout, Network
from models.options import Widths
from models.shapes import Shapes


def _gated(sizes: tuple[int, ...], out: int, shape: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Flatten()]
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, 2 * fan_out), nn.GLU()]  # values first, gates behind them
    return nn.Sequential(*layers, nn.Linear(sizes[-1], out * math.prod(shape)), Layout(out, shape))


@final
class Gated(Network):
    """Layers of gated linear units, for example 784-300-300-D and back.

    hidden: units of each layer of a body, from the image to the latent.
    """

    reference = "Tomczak & Welling 2018, arXiv:1705.07120"

    def __init__(self, *, hidden: Widths = (300, 300)) -> None:
        self.hidden = hidden

    @override
    def encoder(self, shapes: Shapes, outputs: int) -> nn.Module:
        return _gated((math.prod(shapes.image_shape), *self.hidden), outputs, shapes.latent_shape)

    @override
    def decoder(self, shapes: Shapes, outputs: int) -> nn.Module:
        return _gated((shapes.latent_dim, *reversed(self.hidden)), outputs, shapes.image_shape)
