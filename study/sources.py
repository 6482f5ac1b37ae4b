r"""Sources of samples, compared on equal terms: each gives the same number of images, decoded the same way.

    prior                z ~ p(z)
    aggregate_train      z ~ q(z|x), x a training image
    aggregate_held_out   z ~ q(z|x), x a held-out image: a reconstruction, as training scores them
    local                z ~ N(μ(x), I), x a held-out image
    reconstruction       z = μ(x), x a held-out image: the best the decoder does
    <name of a density>  z ~ r(z), fitted after training
    held_out             real held-out images: the floor

Four rules make the terms equal. Images are likelihood means E[x|z] and not draws of p(x|z): pixel noise given z is
independent, blurs the features of every source alike, and grey images have none of it. Real images stand on the same
scale, that of E[x]: grey where binarisation is drawn (E b = x), cut where it cuts. Held-out images are split: one half
is the reference for every source, and only the other is encoded or serves as the floor, or a reconstruction would be
compared with its own original and beat the floor. And an image gives at most one draw to a source, so that rows are
independent; sources that start from held-out images start from the same ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Generator, Tensor

from models.vae import VAE
from study.data import Binarisation, ImageData, binarised
from study.training.step import pure_pyro

CHUNK = 500
"""Latents that go through the decoder at a time."""

REFERENCE_SEED = 0
"""Seed of the split of held-out images, the same for every cell and replicate."""


class Density(Protocol):
    """A density over flattened latents, fitted after training."""

    def sample(self, num: int, generator: Generator, /) -> Tensor:
        """Independent draws [num, D]."""


class Codes(NamedTuple):
    """Posterior means and scales ``(N, *latent_shape)`` of N images."""

    loc: Tensor
    scale: Tensor


def realistic(data: ImageData, how: Binarisation) -> ImageData:
    """``data`` on the scale of likelihood means of a VAE whose images are binarised in this way."""
    return binarised(data, "threshold" if how == "threshold" else "none")


def reference_split(num_held_out: int) -> tuple[Tensor, Tensor]:
    """Rows of held-out images that are the reference, and rows of those that sources start from: halves, seeded.

    Both are in random order, so that the first rows of either are a fair sample: MNIST's own order has the easy half
    of its writers first.
    """
    order = torch.randperm(num_held_out, generator=torch.Generator().manual_seed(REFERENCE_SEED))
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


def sample_sources(
    vae: VAE,
    train: Codes,
    held_out: Codes,
    held_out_images: Tensor,
    densities: Mapping[str, Density],
    *,
    num: int,
    seed: int,
) -> dict[str, Tensor]:
    """``num`` images ``(num, C, H, W)`` of every source, by name.

    held_out, held_out_images: codes and real images of those rows of the held-out split that are not the reference.
    seed: with a source's name, the whole of its randomness; other densities in the mapping do not change its images.

    Raises:
        ValueError: if there are fewer than ``num`` images to start from, or a density has a source's name.
    """
    available = min(len(train.loc), len(held_out.loc))
    if num > available:
        raise ValueError(f"expected num of at most {available}, one draw per image; got {num}: draw fewer")
    device = train.loc.device
    order = torch.randperm(len(held_out.loc), generator=_generator(seed, "starts"))[:num].to(device)
    starts = Codes(held_out.loc[order], held_out.scale[order])
    order_train = torch.randperm(len(train.loc), generator=_generator(seed, "starts_train"))[:num].to(device)
    starts_train = Codes(train.loc[order_train], train.scale[order_train])
    sources = {
        "prior": decode(vae, _prior_draws(vae, num, _generator(seed, "prior", device))),
        "aggregate_train": decode(vae, _posterior_draws(starts_train, _generator(seed, "aggregate_train", device))),
        "aggregate_held_out": decode(vae, _posterior_draws(starts, _generator(seed, "aggregate_held_out", device))),
        "local": local_sample(vae, starts.loc, 1.0, 1, _generator(seed, "local", device))[0],
        "reconstruction": decode(vae, starts.loc),
        "held_out": held_out_images[order],
    }
    for name, density in densities.items():
        if name in sources:
            raise ValueError(f"expected densities with names of their own; got {name!r}, a source: rename it")
        z = density.sample(num, _generator(seed, name, device))
        sources[name] = decode(vae, z.to(train.loc).reshape_as(starts.loc))
    return sources


def _posterior_draws(codes: Codes, generator: Generator) -> Tensor:
    return torch.addcmul(codes.loc, codes.scale, _noise(codes.loc, generator))


def _noise(like: Tensor, generator: Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator, device=generator.device, dtype=like.dtype).to(like.device)


@torch.no_grad()
def _prior_draws(vae: VAE, num: int, generator: Generator) -> Tensor:
    """Draws ``(num, *latent_shape)``; distributions take no generator, so the global one is seeded and restored."""
    device = generator.device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), pure_pyro():
        torch.manual_seed(generator.initial_seed())
        return vae.prior().sample((num,))


def _generator(seed: int, purpose: str, device: torch.device | str = "cpu") -> Generator:
    state = np.random.SeedSequence([seed, *purpose.encode()]).generate_state(1)[0]
    return Generator(device).manual_seed(int(state))
