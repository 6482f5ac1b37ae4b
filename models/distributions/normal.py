"""Normal: the univariate normal, with draws from :mod:`models.noise`."""

from __future__ import annotations

from collections.abc import Sequence

import pyro.distributions as dist
import torch
from torch import Tensor

from models import noise


class Normal(dist.Normal):
    """N(``loc``, ``scale``²), elementwise; torch's own ``rsample`` fills a tensor in place, which ``vmap`` refuses."""

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """``loc + scale · ε``, ``(*sample_shape, *batch_shape)``."""
        shape = self._extended_shape(torch.Size(sample_shape))
        return self.loc + self.scale * noise.standard_normal(shape, self.loc)
