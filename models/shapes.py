"""Shapes of a model's events: what its networks need to know."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shapes:
    """Event shapes of latents and images.

    latent_shape: of z: ``(32,)`` for a vector, ``(16, 8, 8)`` for a feature map, channels first.
    image_shape: of x, channels first: ``(1, 28, 28)``.

    >>> Shapes((16, 8, 8), (1, 28, 28)).latent_dim
    1024
    """

    latent_shape: tuple[int, ...]
    image_shape: tuple[int, ...]

    @property
    def latent_dim(self) -> int:
        """Number of latent dimensions D, the product of the latent shape."""
        return math.prod(self.latent_shape)
