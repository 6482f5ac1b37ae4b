"""Encoding: images to posteriors and latents to log-likelihoods, in chunks of bounded memory and without gradient."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import Independent, Normal

from analysis.aggregate import Aggregate, DiagonalAggregate, GeneralAggregate, InMemoryCodes, StreamedCodes
from analysis.precision import to_float64
from models.pure import pure_pyro
from models.vae import VAE
from study.measurement.stored_images import Images

CHUNK = 500
"""Images or latents that go through a network at a time."""

IN_MEMORY_ELEMENTS = 2**26
"""Latent numbers of a split that are in memory at once, 256 MiB for each of loc, scale and z. Beyond it the aggregate
encodes its images anew at every pass, and codes are those of as many images as fit in a quarter of it."""


def posterior(vae: VAE, images: Tensor) -> TorchDistribution:
    """q(z|x) of ``images`` ``(n, *image_shape)`` under ``vae``, without gradient."""
    with torch.no_grad(), pure_pyro():
        return vae.posterior(images)


@torch.no_grad()
def encode(vae: VAE, images: Images) -> tuple[Tensor, Tensor]:
    """Mean and marginal standard deviations ``(N, *latent_shape)`` of q(z|x) under ``vae``, of ``images``
    ``(N, *image_shape)``.

    Where a posterior has neither in closed form they are those of a few draws.
    """
    codes = aggregate_of(vae, images).component_moments()
    return codes.loc, codes.scale


@torch.no_grad()
def aggregate_of(vae: VAE, images: Images) -> Aggregate:
    """The aggregate posterior of ``images`` ``(N, *image_shape)`` under ``vae``, exact for every kind of posterior."""
    first = posterior(vae, images[:1])
    if not (isinstance(first, Independent) and isinstance(first.base_dist, Normal)):
        return GeneralAggregate(lambda rows: posterior(vae, images[rows]), len(images), images.device)
    if len(images) * first.event_shape.numel() <= IN_MEMORY_ELEMENTS:
        return DiagonalAggregate(InMemoryCodes(*_normals(vae, images)))
    return DiagonalAggregate(
        StreamedCodes(lambda rows: _normals(vae, images[rows]), len(images), images.device, block=CHUNK)
    )


@torch.no_grad()
def decode(vae: VAE, z: Tensor) -> Tensor:
    """Likelihood means E[x|z] ``(M, C, H, W)`` under ``vae``, on the scale of [0, 1], of latents ``z``
    ``(M, *latent_shape)``."""
    with pure_pyro():
        return torch.cat([vae.likelihood(chunk).mean for chunk in z.split(CHUNK)])


@torch.no_grad()
def log_likelihood(vae: VAE, images: Tensor, z: Tensor) -> Tensor:
    """log p(x | z) in nats under ``vae``, ``(M,)`` float64.

    Args:
        vae: the model.
        images: x, ``(M, *image_shape)``.
        z: latents ``(M, *latent_shape)``, one for each image.
    """

    def chunks() -> Iterator[Tensor]:
        for x, latents in zip(images.split(CHUNK), z.split(CHUNK), strict=True):
            with pure_pyro():
                yield to_float64(vae.likelihood(latents)).log_prob(x.double())

    return torch.cat(list(chunks()))


def _normals(vae: VAE, images: Images) -> tuple[Tensor, Tensor]:
    """μ and σ ``(n, *latent_shape)`` of posteriors that are diagonal normals, of ``images`` ``(n, *image_shape)``."""
    first = posterior(vae, images[:1]).base_dist
    # Written in place: small pieces that are kept while chunks of images come and go would lie between them, so that
    # the allocator had no room for the next chunk and took more memory for each.
    loc, scale = (part.new_empty(len(images), *part.shape[1:]) for part in (first.loc, first.scale))
    start = 0
    for chunk in images.split(CHUNK):
        base, rows = posterior(vae, chunk).base_dist, slice(start, start + len(chunk))
        loc[rows], scale[rows] = base.loc, base.scale
        start += len(chunk)
    return loc, scale
