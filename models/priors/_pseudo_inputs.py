"""Pseudo-inputs: learned images that mixtures of posteriors are built on, kept as logits."""

from __future__ import annotations

import torch
from torch import Tensor

from models.context import Context


def first_pseudo_inputs(context: Context, components: int) -> Tensor:
    """Logits ``(components, *image_shape)`` of the first pseudo-inputs.

    They are the examples, repeated where there are too few, softened to ±3 and jittered; without examples faint noise.
    """
    if context.examples is None:
        return torch.randn(components, *context.image_shape) - 2.0
    chosen = context.examples[torch.arange(components) % len(context.examples)]
    return (chosen.clamp(0.05, 0.95)).logit() + 0.1 * torch.randn_like(chosen)
