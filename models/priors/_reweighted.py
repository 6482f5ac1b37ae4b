r"""Reweighted normal: p(z) = N(z; 0, I) w(z), with w from a network f and from averages of functions of f over N(0, I).

The averages are estimated, and the density with them: it integrates to one up to their error. p(z) takes them from many
draws that never change, so that two calls agree, and carries the standard error of log p that they leave as
``log_prob_standard_error``. Training takes them from fresh draws, fewer, at every step.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from itertools import pairwise
from typing import override

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from models import noise
from models.context import Context
from models.distributions import EventDistribution
from models.priors._base import Prior, check_memory
from models.standard_normal import log_standard_normal

_ELEMENTS_PER_BLOCK = 2**22  # 16 MiB of draws at a time


class ReweightedPrior(Prior):
    """Holds f: ℝ^D → ℝ, of tanh layers, and draws of N(0, I) for averages over it.

    context: shapes.
    hidden: units of each layer, at least one.
    draws, evaluation_draws: how many draws in a training step, and for p(z) itself.
    bias: whether the last layer has one.
    """

    def __init__(
        self, context: Context, hidden: tuple[int, ...], draws: int, evaluation_draws: int, *, bias: bool
    ) -> None:
        super().__init__(context)
        check_memory("draws", draws, context.latent_dim)
        check_memory("evaluation_draws", evaluation_draws, 1)
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise((context.latent_dim, *hidden)):
            layers += [nn.Linear(fan_in, fan_out), nn.Tanh()]
        self.network = nn.Sequential(*layers, nn.Linear(hidden[-1], 1, bias=bias))
        self.draws, self.evaluation_draws = draws, evaluation_draws
        self.loc: Tensor
        self.register_buffer("loc", torch.zeros(context.latent_shape), persistent=False)

    @abstractmethod
    def from_outputs(self, outputs: Tensor) -> TorchDistribution:
        """The distribution whose averages are those over ``outputs`` ``(S,)``, f at draws of N(0, I)."""

    @override
    def forward(self) -> TorchDistribution:
        return self.from_outputs(torch.cat([output_at(block, self.network) for block in self._fixed_draws()]))

    @override
    def for_training(self, images: Tensor) -> TorchDistribution:
        """p(z) with averages over fresh draws."""
        fresh = noise.standard_normal(torch.Size((self.draws, self.loc.numel())), self.loc)
        return self.from_outputs(output_at(fresh, self.network))

    def _fixed_draws(self) -> Iterator[Tensor]:
        """The draws behind p(z), ``(evaluation_draws, D)`` in blocks; the same whatever the type of the parameters."""
        generator = torch.Generator(self.loc.device)  # a new one always starts from the same state
        remaining, block = self.evaluation_draws, max(_ELEMENTS_PER_BLOCK // self.loc.numel(), 1)
        while remaining > 0:
            shape = (min(block, remaining), self.loc.numel())
            yield torch.randn(shape, generator=generator, device=self.loc.device).to(self.loc.dtype)
            remaining -= block


class ReweightedNormal(EventDistribution):
    """The distribution: subclasses give log w(z) from f(z), and draws.

    network: f, vectors ``(…, D)`` to ``(…, 1)``.
    loc: zeros of the event shape, which lend type and device.
    log_prob_standard_error: of every log-density, in nats, 0-d; one error that all of them share.
    """

    def __init__(self, network: nn.Module, loc: Tensor, log_prob_standard_error: Tensor) -> None:
        self.network, self.loc = network, loc
        self.log_prob_standard_error = log_prob_standard_error
        super().__init__((), loc.shape)

    @property
    @override
    def like(self) -> Tensor:
        return self.loc

    @abstractmethod
    def log_weight(self, output: Tensor) -> Tensor:
        """log w where f takes the values ``output``, elementwise."""

    @override
    def log_density(self, z: Tensor) -> Tensor:
        return log_standard_normal(z) + self.log_weight(output_at(z, self.network))

    def base_sample(self, num: int) -> Tensor:
        """Draws of N(0, I) as vectors, ``(num, D)``."""
        return torch.randn(num, self.loc.numel(), dtype=self.loc.dtype, device=self.loc.device)


def output_at(z: Tensor, network: nn.Module) -> Tensor:
    """f(z), ``(…,)``, of vectors ``z`` ``(…, D)``, with ``network`` for f."""
    # bf16 has three digits, which are no log-density, so an autocast is kept out.
    with torch.autocast(z.device.type, enabled=False):
        return network(z).squeeze(-1)


def log_mean_exp(logs: Tensor) -> tuple[Tensor, Tensor]:
    """log of the mean of exp(``logs``) ``(S,)``, and its standard error by the delta method, without gradient.

    Both are 0-d and float64. The error nears 1 where one of the terms makes up the mean.
    """
    logs = logs.double()
    log_mean = logs.logsumexp(0) - math.log(len(logs))
    return log_mean, (logs - log_mean).detach().exp().std() / math.sqrt(len(logs))
