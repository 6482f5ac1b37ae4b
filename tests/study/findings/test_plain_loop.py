"""The loop outside this software: its bound is the exact one where that is known, and training raises it."""

import math

import torch
from torch import nn

from study.findings import plain_loop


class Constant(nn.Module):
    """A network that answers the same numbers for each image."""

    def __init__(self, *numbers):
        super().__init__()
        self.numbers = torch.tensor(numbers)

    def forward(self, images):
        return self.numbers.expand(len(images), -1)


def test_the_bound_of_constant_networks_is_exact():
    dim = plain_loop.LATENT
    scale = math.log(1 + math.exp(0.3))
    encoder = Constant(*([0.5] * dim), *([0.3] * dim))
    decoder = Constant(*([0.0] * plain_loop.PIXELS))
    elbo, rate = plain_loop.elbo_and_rate(encoder, decoder, torch.bernoulli(torch.full((7, plain_loop.PIXELS), 0.5)))
    exact = dim * (0.5 * (0.25 + scale**2 - 1) - math.log(scale))
    assert torch.allclose(rate, torch.tensor(exact))
    assert torch.allclose(elbo, torch.tensor(-plain_loop.PIXELS * math.log(2) - exact))


def test_training_raises_the_bound():
    torch.manual_seed(1)
    grey = (torch.rand(1, plain_loop.PIXELS) < 0.2).float().expand(300, -1)
    short, long = (plain_loop.line(epochs, grey, grey) for epochs in (1, 12))
    assert (short["updates"], long["updates"]) == (3, 36)
    assert long["held-out ELBO"] > short["held-out ELBO"] + 100
