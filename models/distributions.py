"""Distributions whose reparameterised draws take their noise from :mod:`models.noise`."""

from __future__ import annotations

import pyro.distributions as dist
import torch
from torch import Tensor

from models import noise


class Normal(dist.Normal):
    """Univariate normal; torch's own ``rsample`` fills a tensor in place, which ``torch.func.vmap`` refuses."""

    def rsample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """``loc + scale · ε``, of shape ``sample_shape + batch_shape``."""
        shape = self._extended_shape(torch.Size(sample_shape))
        return self.loc + self.scale * noise.standard_normal(shape, self.loc)
