"""Prior: the author's recipe for p(z)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from pyro.distributions import TorchDistribution
from torch import nn

from models.context import Context


class Prior(nn.Module, ABC):
    """A distribution over latents z with ``event_shape == context.latent_shape``.

    To add a prior: one file in this folder with one final subclass whose constructor takes the context and typed
    keyword-only options, whose ``forward`` returns the distribution (batch shape ``()``), and whose ``reference`` names
    the paper. Parameters are ordinary ``nn.Parameter`` and are learned with the networks. Where KL(q ‖ p) has a closed
    form, register it in the same file with ``torch.distributions.kl.register_kl``; elsewhere it is sampled.
    """

    reference: ClassVar[str] = ""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.latent_shape = context.latent_shape

    @abstractmethod
    def forward(self) -> TorchDistribution:
        """The distribution p(z)."""
