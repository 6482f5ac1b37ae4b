r"""VampPrior: p(z) = (1/K) Σ_k q(z | u_k), the posterior's own aggregate over K learned pseudo-inputs u_k.

Pseudo-inputs live in [0, 1] as sigmoid(v_k). A draw chooses k uniformly and then z ~ q(z | u_k).
"""

from __future__ import annotations

from typing import final, override

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from models.context import Context
from models.distributions import mixture
from models.posteriors import Posterior
from models.priors._base import Prior


@final
class Vamp(Prior):
    """``components`` pseudo-inputs, started at training images where the context has some, else at faint noise."""

    reference = "Tomczak & Welling 2018, arXiv:1705.07120"

    def __init__(self, context: Context, *, components: int = 50) -> None:
        super().__init__(context)
        if components < 1:
            raise ValueError(f"prior.components must be at least 1; got {components}")
        if not isinstance(context.posterior, Posterior):
            raise ValueError("the VampPrior is a mixture of posteriors; build it with a context that holds one")
        # A tuple keeps the shared module out of this one's parameters and state: it belongs to the VAE.
        self._posterior = (context.posterior,)
        self.raw_inputs = nn.Parameter(_start(context, components))
        self.logits: Tensor
        self.register_buffer("logits", torch.zeros(components), persistent=False)

    @property
    def pseudo_inputs(self) -> Tensor:
        """The images u_k, ``(components, *image_shape)`` in [0, 1]."""
        return self.raw_inputs.sigmoid()

    @override
    def forward(self) -> TorchDistribution:
        (posterior,) = self._posterior
        return mixture(self.logits, posterior(self.pseudo_inputs))


def _start(context: Context, components: int) -> Tensor:
    """Logits of the first pseudo-inputs: examples, repeated where there are too few, softened to ±3 and jittered."""
    if context.examples is None:
        return torch.randn(components, *context.image_shape) - 2.0
    chosen = context.examples[torch.arange(components) % len(context.examples)]
    return (chosen.clamp(0.05, 0.95)).logit() + 0.1 * torch.randn_like(chosen)
