r"""Sources of samples, compared on equal terms: each gives the same number of images, decoded the same way.

    prior                    z ~ p(z)
    shell_prior              the same draws, moved along their radius to ‖z‖ = √D
    prior_batch_statistics   the same draws, by a decoder with batch normalisation left in its training mode
    aggregate_train          z ~ q(z|x), x a training image
    aggregate_held_out       z ~ q(z|x), x a held-out image: a reconstruction, as training scores them
    shuffled_dimensions      those, each dimension shuffled across images on its own: every marginal q_d is kept
    shuffled_locations       those of a map C × h × w, each of the h·w places shuffled on its own (C at once)
    shuffled_channels        those of a map, each of the C channels shuffled on its own
    local                    z ~ N(μ(x), I), x a held-out image
    reconstruction           z = μ(x), x a held-out image: the best the decoder does
    <name of a density>      z ~ r(z), fitted after training
    held_out                 real held-out images: the floor

Four rules make the terms equal. Images are likelihood means E[x|z] and not draws of p(x|z): pixel noise given z is
independent, blurs the features of every source alike, and grey images have none of it. Real images stand on the same
scale, that of E[x]: grey where binarisation is drawn (E b = x), cut where it cuts. Held-out images are split: one half
is the reference for every source, and only the other is encoded or serves as the floor, or a reconstruction would be
compared with its own original and beat the floor. And an image gives at most one draw to a source, so that rows are
independent; sources that start from held-out images start from the same ones.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Generator, Tensor, nn

from analysis.density_fits import Codes
from analysis.randomness import seeded, stream
from models.pure import pure_pyro
from models.vae import VAE

CHUNK = 500
"""Latents that go through the decoder at a time."""


class Density(Protocol):
    """A density over flattened latents, fitted after training."""

    def sample(self, num: int, generator: Generator, /) -> Tensor:
        """Independent draws [num, D]."""


def reference_split(num_held_out: int) -> tuple[Tensor, Tensor]:
    """Rows of held-out images that are the reference, and rows of those that sources start from: halves, seeded.

    Both are in random order, so that the first rows of either are a fair sample: MNIST's own order has the easy half
    of its writers first.
    """
    order = torch.randperm(num_held_out, generator=stream(0, "reference split"))
    reference, starts = order.tensor_split(2)
    return reference, starts


@torch.no_grad()
def decode(vae: VAE, z: Tensor) -> Tensor:
    """Likelihood means ``(M, C, H, W)`` of latents ``(M, *latent_shape)``."""
    with pure_pyro():
        return torch.cat([vae.likelihood(chunk).mean for chunk in z.split(CHUNK)])


def local_sample(
    vae: VAE, loc: Tensor, noise_scale: float, draws_per_image: int, generator: Generator
) -> tuple[Tensor, Tensor]:
    """Decoded draws of N(μ, s²I), s = ``noise_scale``, about each of the N means ``loc`` ``(N, *latent_shape)``.

    Returns:
        Images ``(N · draws_per_image, C, H, W)`` and the row of ``loc`` behind each, int64, draws of an image adjacent.
    """
    own = torch.arange(len(loc), device=loc.device).repeat_interleave(draws_per_image)
    centres = loc[own]
    return decode(vae, centres + noise_scale * _noise(centres, generator)), own


@torch.no_grad()
def sample_sources(
    vae: VAE,
    train: Tensor,
    held_out: Codes,
    held_out_images: Tensor,
    densities: Mapping[str, Density],
    *,
    seed: int,
) -> dict[str, Tensor]:
    """As many images ``(n, C, H, W)`` of every source, by name, as there are codes of held-out images.

    train: one draw of q(z|x) ``(n, *latent_shape)`` for each of n training images.
    held_out, held_out_images: codes and originals of n held-out images that are not the reference.
    seed: index of the replicate; with a source's name it is the whole of its randomness, so that other densities in the
        mapping do not change its images.

    Raises:
        ValueError: if train and held-out draws differ in number, or a density has a source's name.
    """
    num, device = len(held_out), train.device
    if len(train) != num:
        raise ValueError(f"expected as many draws of training as of held-out images; got {len(train)} and {num}")
    prior = _prior_draws(vae, num, stream(seed, "source", "prior", device=device))
    radius = math.sqrt(prior[0].numel()) / prior.flatten(1).norm(dim=1)
    latents = {
        "prior": prior,
        "shell_prior": prior * radius.view(-1, *[1] * (prior.ndim - 1)),
        "aggregate_train": train,
        "aggregate_held_out": held_out.z,
        **{name: _shuffled(held_out.z, units, seed, name) for name, units in _shuffles(held_out.z).items()},
        "reconstruction": held_out.loc,
    }
    sources = {name: decode(vae, z) for name, z in latents.items()}
    sources["local"] = local_sample(vae, held_out.loc, 1.0, 1, stream(seed, "source", "local", device=device))[0]
    sources["held_out"] = held_out_images
    if any(isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)) for module in vae.likelihood.modules()):
        training_mode = VAE(vae.prior, vae.posterior, copy.deepcopy(vae.likelihood).train())
        sources["prior_batch_statistics"] = decode(training_mode, prior)
    for name, density in densities.items():
        if name in sources:
            raise ValueError(f"expected densities with names of their own; got {name!r}, a source: rename it")
        z = density.sample(num, stream(seed, "source", name, device=device))
        sources[name] = decode(vae, z.to(train).reshape_as(train))
    return sources


def _shuffles(z: Tensor) -> dict[str, tuple[int, ...]]:
    """Which dimensions of a latent ``(n, *latent_shape)`` number the units that each shuffle moves whole, by name."""
    everything = tuple(range(1, z.ndim))
    maps = {"shuffled_locations": (2, 3), "shuffled_channels": (1,)} if z.ndim == 4 else {}
    return {"shuffled_dimensions": everything, **maps}


def _shuffled(z: Tensor, units: tuple[int, ...], seed: int, name: str) -> Tensor:
    """``z`` with every unit permuted across the images on its own."""
    shape = [z.shape[dim] if dim in units else 1 for dim in range(1, z.ndim)]
    keys = torch.rand(len(z), *shape, generator=stream(seed, "source", name))
    return z.gather(0, keys.argsort(0).to(z.device).expand_as(z))


def _noise(like: Tensor, generator: Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator, device=generator.device, dtype=like.dtype).to(like.device)


def _prior_draws(vae: VAE, num: int, generator: Generator) -> Tensor:
    """Draws ``(num, *latent_shape)`` of the prior."""
    with seeded(generator), pure_pyro():
        return vae.prior().sample((num,))
