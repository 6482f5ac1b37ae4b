r"""Autoregressive prior: p(z) = Π_d p(z_d | z_<d), each factor a mixture of K normals given by one masked network.

The network is a MADE: every unit has a degree, an input's its position d in the flattened latent; a hidden unit sees
units of at most its degree, and the numbers of factor d see hidden units of a degree below d. Degrees are spread evenly
over the units of a layer. A density takes one pass and a draw D of them, one per dimension. The last layer starts at
zero weights and scales of 1, so that training starts near N(0, I); component means are scattered a little, or equal
components would stay equal.
"""

from __future__ import annotations

from itertools import pairwise
from typing import final, override

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from models.context import Context
from models.options import Count, Widths
from models.positive import positive
from models.priors._base import MIN_SCALE, check_memory, check_parameters
from models.priors._vector import VectorPrior
from models.standard_normal import HALF_LOG_2PI

MAX_DIM = 1_024

_SCATTER = 0.1


class _Masked(nn.Linear):
    """A linear layer with weights only where ``mask`` ``(out, in)`` allows."""

    def __init__(self, mask: Tensor) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        self.mask: Tensor
        self.register_buffer("mask", mask, persistent=False)

    @override
    def forward(self, inputs: Tensor, rows: slice = slice(None)) -> Tensor:
        return linear(inputs, self.mask[rows] * self.weight[rows], self.bias[rows])


@final
class Autoregressive(VectorPrior):
    """Product of mixtures of normals, each given the dimensions before its own.

    context: shapes.
    components: K normals of each factor.
    hidden: units of each ReLU layer of the masked network.

    Raises ValueError above D = 1,024.
    """

    reference = "Germain et al. 2015, arXiv:1502.03509"

    def __init__(self, context: Context, *, components: Count = 5, hidden: Widths = (128, 128)) -> None:
        super().__init__(context)
        dim = context.latent_dim
        check_memory("components", components, 3 * dim)
        sizes = (dim, *hidden, 3 * components * dim)
        parameters = sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(sizes))
        if dim > MAX_DIM:
            raise ValueError(
                f"an autoregressive prior draws in D sequential passes, so its limit is D = {MAX_DIM:,}; got D = "
                f"{dim:,}, with {parameters:,} parameters: use prior=realnvp or prior=vamp"
            )
        check_parameters("an autoregressive prior", dim, parameters)
        self.components = components
        position = torch.arange(1, dim + 1)
        degrees = [position, *(1 + torch.arange(width) * (dim - 1) // width for width in hidden)]
        layers: list[nn.Module] = []
        for before, after in pairwise(degrees):
            layers += [_Masked(after[:, None] >= before), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.head = _Masked(position.repeat_interleave(3 * components)[:, None] > degrees[-1])
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        with torch.no_grad():
            self.head.bias.unflatten(0, (dim, 3, components))[:, 1].normal_(0, _SCATTER)

    @override
    def log_density(self, z: Tensor) -> Tensor:
        logits, loc, scale = self._factors(self.head(self.body(z)))
        normal = -0.5 * ((z[..., None] - loc) / scale).square() - HALF_LOG_2PI - scale.log()
        return (logits.log_softmax(-1) + normal).logsumexp(-1).sum(-1)

    @override
    def draw(self, num: int) -> Tensor:
        noise = self.noise(num)
        z = torch.zeros_like(noise)
        size = 3 * self.components
        for d in range(z.shape[1]):
            rows = slice(d * size, (d + 1) * size)
            logits, loc, scale = (part[:, 0] for part in self._factors(self.head(self.body(z), rows)))
            chosen = torch.distributions.Categorical(logits=logits).sample()[:, None]
            z[:, d] = (loc.gather(1, chosen) + scale.gather(1, chosen) * noise[:, d : d + 1])[:, 0]
        return z

    def _factors(self, outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, locations and scales ``(…, D, K)`` of the factors from the head's outputs ``(…, D · 3K)``."""
        logits, loc, raw = outputs.unflatten(-1, (-1, 3, self.components)).unbind(-2)
        return logits, loc, positive(raw, MIN_SCALE)
