"""Objective: the author's recipe for a loss over a Pyro model/guide pair."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import torch
from pyro.distributions import Independent
from torch import Tensor

from models.objectives._pair import Pair
from models.options import Configurable


class Terms(NamedTuple):
    """Result of one evaluation of an objective.

    loss: the scalar to minimise.
    rate, distortion: those of the ELBO, ``(B,)`` in nats, without scale and gradient, whatever the loss makes of them.
    """

    loss: Tensor
    rate: Tensor
    distortion: Tensor


class Objective(Configurable, ABC):
    """A pure function of the pair's traces: no state, no ``.item()``, no branch on a tensor's value.

    To add an objective: one file in this folder with one final subclass whose constructor takes typed keyword-only
    options, and whose :meth:`loss` maps the terms of a :class:`~models.objectives.Pair` to a scalar. One that is a mean
    over images says so (``mean_over_images``), and several processes can share its batches.
    """

    family = "objective"
    reference: ClassVar[str] = ""
    draws = 1
    """K draws of q(z|x) per image: guide and model see the batch K times over, as ``K·B`` images, copy by copy."""

    needs_factorised = False
    """Whether the loss is defined only for posteriors that factorise over dimensions (``Posterior.factorised``)."""

    mean_over_images: ClassVar[bool] = False
    """Whether the loss is a mean over images of terms that depend on one image each, so that the loss of a batch is the
    mean of those of its equal parts."""

    @abstractmethod
    def loss(self, pair: Pair) -> Tensor:
        """The scalar to minimise, in nats per image, from the terms ``(K·B,)`` of ``pair``."""

    def __call__(self, model: Callable[..., Any], guide: Callable[..., Any], images: Tensor, *args: Any) -> Terms:
        """Runs guide and model once on ``images`` ``(B, *image_shape)``; further arguments go to both."""
        pair = Pair.run(model, guide, images.expand(self.draws, *images.shape).flatten(0, 1), *args)
        if self.needs_factorised and not all(isinstance(site.q, Independent) for site in pair.latents):
            raise ValueError(
                f"{self.name} needs a posterior that factorises over dimensions; use posterior=diagonal_normal"
            )
        rate, distortion = (
            torch.stack([site.masked.detach() for site in sites]).sum(0).reshape(self.draws, len(images)).mean(0)
            for sites in (pair.latents, pair.observed)
        )
        return Terms(self.loss(pair), rate, distortion)
