"""Posterior: the author's recipe for q(z|x)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from models.context import Context


class Posterior(nn.Module, ABC):
    """Maps images ``(B, *image_shape)`` to a reparameterised distribution: batch ``(B,)``, event ``latent_shape``."""

    reference: ClassVar[str] = ""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.latent_shape = context.latent_shape

    @abstractmethod
    def forward(self, images: Tensor) -> TorchDistribution:
        """The distribution q(z|x) of each image."""
