"""PseudoInputPrior: a prior made of posteriors at K learned images, its pseudo-inputs u_k = sigmoid(v_k) in [0, 1]."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from models.context import Context
from models.priors._base import check_memory
from models.priors._of_posteriors import PosteriorPrior


class PseudoInputPrior(PosteriorPrior):
    """Base of priors with pseudo-inputs.

    They start at the examples of the context, repeated where there are too few, softened to logits of ±3 and jittered;
    without examples at faint noise.

    context: shapes, the posterior and examples.
    components: K, number of pseudo-inputs.
    """

    def __init__(self, context: Context, components: int) -> None:
        check_memory("components", components, max(context.latent_dim, math.prod(context.image_shape)))
        super().__init__(context)
        self.raw_inputs = nn.Parameter(_start(context, components))

    @property
    def pseudo_inputs(self) -> Tensor:
        """The images u_k, ``(components, *image_shape)`` in [0, 1]."""
        return self.raw_inputs.sigmoid()


def _start(context: Context, components: int) -> Tensor:
    """Logits ``(components, *image_shape)`` of the first pseudo-inputs."""
    if context.examples is None:
        return torch.randn(components, *context.image_shape) - 2.0
    chosen = context.examples[torch.arange(components) % len(context.examples)]
    return (chosen.clamp(0.05, 0.95)).logit() + 0.1 * torch.randn_like(chosen)
