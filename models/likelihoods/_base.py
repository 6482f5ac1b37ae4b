"""Likelihood: the author's recipe for p(x|z)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from models.context import Context
from models.networks import evaluate
from models.options import Configurable


class Likelihood(Configurable, nn.Module, ABC):
    """Maps latents ``(*batch, *latent_shape)`` to a distribution over images: that batch, event ``image_shape``.

    To add a likelihood: one file in this folder with one final subclass whose constructor takes the context and typed
    keyword-only options with their ranges (:mod:`models.options`), and sets ``decoder``. The batch is one of images,
    under vectorised particles or posterior draws with dimensions before it, which :meth:`decode` folds for the decoder.
    """

    family = "likelihood"
    reference: ClassVar[str] = ""
    gives: ClassVar[Literal["density", "mean", "nothing"]] = "density"
    """Result of :meth:`forward`: a density of images with its mean; for a decoder that comes from elsewhere perhaps the
    mean alone, or nothing where there is no decoder."""
    decoder: nn.Module

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.image_shape = context.image_shape
        self._latent_dims = len(context.latent_shape)

    def decode(self, latents: Tensor) -> Tensor:
        """The decoder's maps at latents ``(*batch, *latent_shape)``: ``(outputs, *batch, *image_shape)``."""
        return evaluate(self.decoder, latents, self._latent_dims)

    @abstractmethod
    def forward(self, latents: Tensor) -> TorchDistribution:
        """p(x|z) for each of ``latents`` ``(*batch, *latent_shape)``; its ``mean`` is the picture to look at."""
