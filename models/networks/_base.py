"""Network: the author's recipe for an encoder and decoder pair."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from models.options import Configurable
from models.shapes import Shapes


class Layout(nn.Module):
    """Last layer of a body: ``(B, outputs · size)`` to ``(B, outputs, *shape)``."""

    def __init__(self, outputs: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.layout = (outputs, *shape)

    def forward(self, features: Tensor) -> Tensor:
        """``features`` ``(B, outputs · size)`` laid out."""
        return features.reshape(len(features), *self.layout)


def evaluate(body: nn.Module, events: Tensor, event_dim: int) -> Tensor:
    """Outputs of ``body`` for ``events`` ``(*batch, *event_shape)``, stacked first: ``(outputs, *batch, *shape)``.

    A body takes one batch dimension. Any number of them, such as the particles that Pyro vectorises, is folded into it
    here and unfolded afterwards, so that no network needs to know. Under a bf16 autocast bodies run in bf16; what they
    give is in single precision at least, as parameters of distributions always are.

    body: maps ``(B, *event_shape)`` to ``(B, outputs, *shape)``.
    events: what it is given.
    event_dim: length of ``event_shape``.
    """
    batch = torch.Size(events.shape[: events.dim() - event_dim])
    outputs = body(events.reshape(batch.numel(), *events.shape[len(batch) :])).movedim(1, 0)
    outputs = outputs.reshape(len(outputs), *batch, *outputs.shape[2:])
    return outputs.float() if outputs.dtype in {torch.bfloat16, torch.float16} else outputs


class Network(Configurable, ABC):
    """Builds the two bodies. Both map a batch to parameters laid out per element of the event that they describe.

    Posteriors and likelihoods call a body by :func:`evaluate`, which gives it one batch dimension whatever there are.
    """

    family = "network"
    reference: ClassVar[str] = ""

    @abstractmethod
    def encoder(self, shapes: Shapes, outputs: int) -> nn.Module:
        """A module that maps images ``(B, *image_shape)`` to ``(B, outputs, *latent_shape)``.

        shapes: event shapes of latents and images.
        outputs: number of parameters for each element of a latent.

        Raises ValueError for shapes that the network cannot have.
        """

    @abstractmethod
    def decoder(self, shapes: Shapes, outputs: int) -> nn.Module:
        """A module that maps latents ``(B, *latent_shape)`` to ``(B, outputs, *image_shape)``.

        shapes: event shapes of latents and images.
        outputs: number of parameters for each pixel value.

        Raises ValueError for shapes that the network cannot have.
        """
