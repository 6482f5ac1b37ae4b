"""Products: the matrix products and convolutions of one update, as torch's layers and as multiply-adds at the peak."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from analysis.float32 import full_float32
from models.pure import pure_pyro
from models.vae import VAE

LARGE = 2_048
"""Rows, terms and columns of a large product."""

Run = Callable[[int], float]
"""Makes some updates, or what stands for them, and returns the seconds that they took."""


def clock(data: Tensor) -> float:
    """Seconds, once the device of ``data`` has done what it was asked for."""
    if data.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter()


def layers(vae: VAE, images: Tensor) -> list[tuple[nn.Module, Tensor]]:
    """The layers of an update that multiply, each with what it is given, in their order."""
    found: list[tuple[nn.Module, Tensor]] = []
    hooks = [
        module.register_forward_hook(lambda layer, given, _: found.append((layer, given[0].detach())))
        for module in vae.modules()
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)
    ]
    with torch.no_grad(), pure_pyro():
        z = vae.posterior(images).sample()
        vae.prior().log_prob(z)
        vae.likelihood(z)
    for hook in hooks:
        hook.remove()
    return found


def products(vae: VAE, images: Tensor, layout: torch.memory_format = torch.contiguous_format) -> Run:
    """The products of one update and nothing else, layer by layer, as torch computes them.

    Each layer's output, gradient of its weights and of its input (which the first encoder layer does not need).
    """
    passes = []
    for index, (layer, seen) in enumerate(layers(vae, images)):
        kept = layout if seen.ndim == 4 else torch.contiguous_format
        given = seen.clone(memory_format=kept)
        layer.to(memory_format=kept)
        wanted = [layer.weight] if index == 0 else [layer.weight, given.requires_grad_()]
        passes.append((layer, given, wanted, torch.randn_like(layer(given))))

    def run(updates: int) -> float:
        with full_float32(images.device):
            start = clock(images)
            for _ in range(updates):
                for layer, given, wanted, gradient in passes:
                    torch.autograd.grad(layer(given), wanted, gradient)
            return clock(images) - start

    return run


def multiply_adds(vae: VAE, images: Tensor) -> int:
    """Of the products of one update."""
    total = 0
    for index, (layer, given) in enumerate(layers(vae, images)):
        # A weight is used once at each place of the smaller of the two maps, which of a transposed one is its input.
        places = given if isinstance(layer, nn.ConvTranspose2d) else layer(given)
        channels = places.shape[1] if places.ndim == 4 else places.shape[-1]
        total += (2 if index == 0 else 3) * layer.weight.numel() * (places.numel() // channels)
    return total


def arithmetic(vae: VAE, images: Tensor) -> Run:
    """The multiply-adds of one update at the rate of one large product, which is measured each time."""
    share = multiply_adds(vae, images) / LARGE**3
    matrix = torch.randn(LARGE, LARGE, device=images.device)

    def run(updates: int) -> float:
        with full_float32(images.device):
            start = clock(images)
            torch.mm(matrix, matrix)
            return updates * share * (clock(images) - start)

    return run
