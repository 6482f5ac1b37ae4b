"""Posterior: the author's recipe for q(z|x)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from models.context import Context, Support
from models.networks import evaluate
from models.options import Configurable


class Posterior(Configurable, nn.Module, ABC):
    """Maps images ``(*batch, *image_shape)`` to a reparameterised distribution: that batch, event ``latent_shape``.

    To add a posterior: one file in this folder with one final subclass whose constructor takes the context and typed
    keyword-only options with their ranges (:mod:`models.options`), and sets ``encoder``, called by :meth:`encode`.
    Draws are functions of :mod:`models.noise`; the density must hold for any point, since the aggregate posterior
    evaluates each under every image's q, and in float64. Mean and variance are given where they have a closed form. One
    that factorises over dimensions says so in ``factorised``, and returns an ``Independent``.
    """

    family = "posterior"
    reference: ClassVar[str] = ""
    factorised: ClassVar[bool] = False
    support: ClassVar[Support] = "real"
    encoder: nn.Module

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.latent_shape = context.latent_shape
        self._image_dims = len(context.image_shape)

    def encode(self, images: Tensor) -> Tensor:
        """The encoder's maps at images ``(*batch, *image_shape)``: ``(outputs, *batch, *latent_shape)``."""
        return evaluate(self.encoder, images, self._image_dims)

    def encode_flat(self, images: Tensor) -> Tensor:
        """The maps at ``images`` with latents flattened, ``(outputs, *batch, D)``."""
        return self.encode(images).flatten(-len(self.latent_shape))

    @abstractmethod
    def forward(self, images: Tensor) -> TorchDistribution:
        """q(z|x) for each of ``images`` ``(*batch, *image_shape)``."""
