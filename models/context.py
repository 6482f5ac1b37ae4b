"""Context: what the constructor of a part (network, posterior, prior, likelihood) may need to know of the others."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from torch import Tensor, nn

if TYPE_CHECKING:
    from models.networks import Network

Support = Literal["real", "sphere"]
"""Where latents live: ℝ^D, or the unit sphere of the flattened latent, whose densities are per surface and not per
volume."""


@dataclass(frozen=True, slots=True)
class Context:
    """Shapes and neighbours of the part under construction.

    latent_shape: event shape of z: ``(32,)`` for a vector, ``(16, 8, 8)`` for a feature map, channels first.
    image_shape: event shape of x, channels first: ``(1, 28, 28)``.
    network: builds encoder and decoder bodies.
    examples: a few training images ``(n, *image_shape)`` in [0, 1], for parts that start from data; may be absent.
    posterior: the q(z|x) module, present when a prior is built after it.
    """

    latent_shape: tuple[int, ...]
    image_shape: tuple[int, ...]
    network: Network
    examples: Tensor | None = None
    posterior: nn.Module | None = None

    @property
    def latent_dim(self) -> int:
        """Number of latent dimensions D, the product of the latent shape."""
        return math.prod(self.latent_shape)

    def with_posterior(self, posterior: nn.Module) -> Context:
        """The context of the parts that are built after the posterior."""
        return replace(self, posterior=posterior)
