r"""Decoder gain: how far the mean image g(z) moves along a displacement δ of the latent.

    E‖J(z) δ‖²        J the Jacobian of g at z: the limit of E‖g(z + tδ) − g(z)‖²/t² as t → 0
    E‖g(z + δ) − g(z)‖²

J(z) δ is a forward-mode product (Wengert 1964; Griewank & Walther 2008, §3.1), at about the cost of one decoding beside
that of z itself, which serves all δ at one z; no Jacobian, pixels × D numbers for each z, is ever held. The two agree
where g is linear between z and z + δ.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.func import jvp, vmap

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
    return moved_along(decoder, z, displacement.expand_as(z)[None])[0]


def moved_along(decoder: Decoder, z: Tensor, displacements: Tensor) -> Tensor:
    """J(z) δ_k of each draw along K displacements, ``(K, M, *image_shape)`` float64.

    Args:
        decoder: g.
        z: draws ``(M, *latent_shape)``.
        displacements: δ_k of each draw, ``(K, M, *latent_shape)``.
    """
    return torch.cat(list(_moved(decoder, z, displacements)), 1)


def squared_gain(decoder: Decoder, z: Tensor, displacement: Tensor) -> Tensor:
    """‖J(z) δ‖² of each draw, in squared pixel values, ``(M,)`` float64.

    Args:
        decoder: g.
        z: draws ``(M, *latent_shape)``.
        displacement: δ of each draw, or one for all, ``(M, *latent_shape)`` or ``(*latent_shape)``.
    """
    return _squared_gains(decoder, z, displacement.expand_as(z)[None])[0]


def nearest_by_gain(decoder: Decoder, z: Tensor, centres: Tensor) -> Tensor:
    """min over k of ‖J(z) (c_k − z)‖, the distance to the nearest centre weighted by JᵀJ at each draw, in pixel values,
    ``(M,)`` float64: how far the image moves, to first order, on the way from the draw to the centre.

    Args:
        decoder: g.
        z: draws ``(M, *latent_shape)``.
        centres: K of each draw, ``(M, K, *latent_shape)``.
    """
    return _squared_gains(decoder, z, centres.transpose(0, 1) - z).amin(0).sqrt()


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
    return torch.cat(moved).detach().flatten(1).double().square().sum(1)


def _squared_gains(decoder: Decoder, z: Tensor, displacements: Tensor) -> Tensor:
    """‖J(z) δ_k‖² of each draw along ``displacements`` ``(K, M, *latent_shape)``, ``(K, M)`` float64."""
    return torch.cat([images.flatten(2).square().sum(2) for images in _moved(decoder, z, displacements)], 1)


def _moved(decoder: Decoder, z: Tensor, displacements: Tensor) -> Iterator[Tensor]:
    """J(z) δ_k of some of the draws at a time, ``(K, m, *image_shape)`` float64."""

    def products(points: Tensor, tangents: Tensor) -> Tensor:
        # A Pyro model as decoder draws what its images do not depend on; all products may share that.
        return vmap(lambda tangent: jvp(decoder, (points,), (tangent,))[1], randomness="same")(tangents)

    size = max(CHUNK // len(displacements), 1)
    for points, tangents in zip(z.split(size), displacements.split(size, dim=1), strict=True):
        with warnings.catch_warnings():
            # The first product of a process imports rules that torch itself compiles by its deprecated compiler.
            warnings.simplefilter("ignore", FutureWarning)
            images = products(points, tangents)
        yield images.detach().double()
