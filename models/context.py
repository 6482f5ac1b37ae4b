"""Context: what the constructor of a part (posterior, prior, likelihood) may need to know of its neighbours."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor, nn

from models.networks import Network
from models.shapes import Shapes

Support = Literal["real", "sphere"]
"""Space of the latents: ℝ^D, or the unit sphere of the flattened latent, whose densities are per surface and not per
volume."""


@dataclass(frozen=True, slots=True)
class Context:
    """Shapes and neighbours of the part under construction.

    shapes: event shapes of latents and images.
    network: builds encoder and decoder bodies.
    examples: a few training images ``(n, *image_shape)`` in [0, 1], for parts that start from data; may be absent.
    posterior: the q(z|x) module, present when a prior is built after it.

    >>> from models.networks.mlp import MLP
    >>> from models.posteriors.diagonal_normal import DiagonalNormal
    >>> from models.priors.vamp import Vamp
    >>> context = Context(Shapes((8,), (1, 28, 28)), MLP(hidden=(64,)))
    >>> context.latent_dim
    8
    >>> posterior = DiagonalNormal(context)
    >>> Vamp(context.with_posterior(posterior), components=10)().event_shape
    torch.Size([8])
    """

    shapes: Shapes
    network: Network
    examples: Tensor | None = None
    posterior: nn.Module | None = None

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Event shape of z."""
        return self.shapes.latent_shape

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Event shape of x, channels first."""
        return self.shapes.image_shape

    @property
    def latent_dim(self) -> int:
        """Number of latent dimensions D."""
        return self.shapes.latent_dim

    def with_posterior(self, posterior: nn.Module) -> Context:
        """The context of the parts that are built after ``posterior``."""
        return replace(self, posterior=posterior)
