r"""Two-level prior: z = (upper, lower), p(z) = N(upper; 0, I) N(lower; m(upper), diag s²(upper)).

m and s come from one network. The halves are those of the flattened latent, its first ⌊D/2⌋ elements and the rest. The
density is exact: nothing is integrated out. The network's last layer starts at zero, so that training starts from
N(0, I).
"""

from __future__ import annotations

from itertools import pairwise
from typing import final, override

import torch
from torch import Tensor, nn

from models.context import Context
from models.options import Widths
from models.positive import positive
from models.priors._base import MIN_SCALE, check_parameters
from models.priors._vector import VectorPrior
from models.standard_normal import log_standard_normal


@final
class Hierarchical(VectorPrior):
    """The upper half a standard normal, the lower given it a normal.

    context: shapes.
    hidden: units of each ReLU layer of the network that gives the lower half.

    Raises ValueError below D = 2.
    """

    reference = "Sønderby et al. 2016, arXiv:1602.02282"

    def __init__(self, context: Context, *, hidden: Widths = (128, 128)) -> None:
        super().__init__(context)
        dim = context.latent_dim
        if dim < 2:
            raise ValueError(f"a two-level prior splits z into halves and needs D of at least 2; got D = {dim}")
        self.num_upper = dim // 2
        sizes = (self.num_upper, *hidden, 2 * (dim - self.num_upper))
        check_parameters("a two-level prior", dim, sum((a + 1) * b for a, b in pairwise(sizes)))
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise(sizes[:-1]):
            layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
        last = nn.Linear(sizes[-2], sizes[-1])
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.network = nn.Sequential(*layers, last)

    @override
    def log_density(self, z: Tensor) -> Tensor:
        upper, lower = z.tensor_split((self.num_upper,), -1)
        loc, scale = self._given(upper)
        noise = torch.cat([upper, (lower - loc) / scale], -1)
        return log_standard_normal(noise) - scale.log().sum(-1)

    @override
    def draw(self, num: int) -> Tensor:
        upper, noise = self.noise(num).tensor_split((self.num_upper,), -1)
        loc, scale = self._given(upper)
        return torch.cat([upper, loc + scale * noise], -1)

    def _given(self, upper: Tensor) -> tuple[Tensor, Tensor]:
        """Location and scale of the lower half."""
        loc, raw = self.network(upper).chunk(2, -1)
        return loc, positive(raw, MIN_SCALE)
