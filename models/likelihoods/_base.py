"""Likelihood: the author's recipe for p(x|z)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from models.context import Context


class Likelihood(nn.Module, ABC):
    """Maps latents ``(B, *latent_shape)`` to a distribution over images: batch ``(B,)``, event ``image_shape``."""

    reference: ClassVar[str] = ""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.image_shape = context.image_shape

    @abstractmethod
    def forward(self, latents: Tensor) -> TorchDistribution:
        """The distribution p(x|z) of each latent; its ``mean`` is the picture that a reader looks at."""
