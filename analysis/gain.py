r"""Decoder gain: how far the mean image g(z) moves along a displacement δ of the latent.

    E‖J(z) δ‖²        J the Jacobian of g at z: the limit of E‖g(z + tδ) − g(z)‖²/t² as t → 0
    E‖g(z + δ) − g(z)‖²

J(z) δ is a forward-mode product (Wengert 1964; Griewank & Walther 2008, §3.1), at about the cost of one decoding, so
that no Jacobian, pixels × D numbers for each z, is ever held. The two agree where g is linear between z and z + δ.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import jvp

CHUNK = 250
"""Latents that go through the decoder at a time."""

Decoder = Callable[[Tensor], Tensor]
"""Mean images ``(n, *image_shape)`` of latents ``(n, *latent_shape)``, each by itself."""


def moved_images(decoder: Decoder, z: Tensor, displacement: Tensor) -> Tensor:
    """J(z) δ of each draw, ``(M, *image_shape)`` float64.

    Args:
        decoder: g.
        z: draws ``(M, *latent_shape)``.
        displacement: δ of each draw, or one for all, ``(M, *latent_shape)`` or ``(*latent_shape)``.
    """
    along = displacement.expand_as(z)
    pairs = zip(z.split(CHUNK), along.split(CHUNK), strict=True)
    with warnings.catch_warnings():
        # The first product of a process imports rules that torch itself compiles by its deprecated compiler.
        warnings.simplefilter("ignore", FutureWarning)
        moved = [jvp(decoder, (points,), (tangents,))[1] for points, tangents in pairs]
    return torch.cat(moved).detach().double()


def squared_gain(decoder: Decoder, z: Tensor, displacement: Tensor) -> Tensor:
    """‖J(z) δ‖² of each draw, in squared pixel values, ``(M,)`` float64.

    Args:
        decoder: g.
        z: draws ``(M, *latent_shape)``.
        displacement: δ of each draw, or one for all, ``(M, *latent_shape)`` or ``(*latent_shape)``.
    """
    return _squared_norms(moved_images(decoder, z, displacement))


def nearest_by_gain(decoder: Decoder, z: Tensor, centres: Tensor) -> Tensor:
    """min over k of ‖J(z) (c_k − z)‖, the distance to the nearest centre weighted by JᵀJ at each draw, in pixel values,
    ``(M,)`` float64: how far the image moves, to first order, on the way from the draw to the centre.

    Args:
        decoder: g.
        z: draws ``(M, *latent_shape)``.
        centres: K of each draw, ``(M, K, *latent_shape)``.
    """
    squared = [squared_gain(decoder, z, centre - z) for centre in centres.unbind(1)]
    return torch.stack(squared, 1).amin(1).sqrt()


def squared_step(decoder: Decoder, z: Tensor, displacement: Tensor) -> Tensor:
    """‖g(z + δ) − g(z)‖² of each draw, in squared pixel values, ``(M,)`` float64.

    Args:
        decoder: g.
        z: draws ``(M, *latent_shape)``.
        displacement: δ of each draw, or one for all, ``(M, *latent_shape)`` or ``(*latent_shape)``.
    """
    along = displacement.expand_as(z)
    moved = [
        decoder(points + steps) - decoder(points)
        for points, steps in zip(z.split(CHUNK), along.split(CHUNK), strict=True)
    ]
    return _squared_norms(torch.cat(moved))


def _squared_norms(images: Tensor) -> Tensor:
    return images.detach().flatten(1).double().square().sum(1)
