r"""FlowDistribution: q(z|x) as a learned invertible map of noise, z = μ(x) + σ(x) f(ε; h(x)), ε ~ N(0, I).

    log q(z|x) = log N(ε; 0, I) − log |det ∂f/∂ε| − Σ_d log σ_d

f is a chain of steps u ↦ v, each with the order of dimensions reversed after it; h(x) is a vector of D numbers from the
encoder. A draw knows its ε, so its density needs no inverse: the distribution keeps it. Any other point is inverted.
Mean and variance have no closed form.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Self, final, override

import torch
from torch import Tensor, nn

from models import noise
from models.distributions import EventDistribution
from models.standard_normal import log_standard_normal


class Step(nn.Module, ABC):
    """An invertible map of vectors ``(…, D)`` given ``h``, of the same shape; both ways return log |det ∂v/∂u| too."""

    @abstractmethod
    def forward(self, u: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """The image v of u, and log |det ∂v/∂u| ``(…,)``."""

    @abstractmethod
    def inverse(self, v: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """The u of an image v, and log |det ∂v/∂u| ``(…,)``, with v and h broadcast against each other."""


@final
class FlowDistribution(EventDistribution):
    """The distribution of the module docstring, over events of ``event_shape`` with D elements.

    loc, scale, h: μ, σ > 0 and what the steps are given, ``(*batch, D)``.
    steps: the maps u ↦ v in order; see :class:`Step`.
    """

    has_rsample = True
    tensors: ClassVar[tuple[str, ...]] = ("loc", "scale", "h")

    def __init__(
        self, loc: Tensor, scale: Tensor, h: Tensor, steps: Iterable[Any], event_shape: tuple[int, ...]
    ) -> None:
        self.loc, self.scale, self.h, self.steps = loc, scale, h, list(steps)
        self._last: tuple[Tensor, Tensor] | None = None
        super().__init__(loc.shape[:-1], event_shape)

    @override
    def expand(self, batch_shape: Sequence[int], _instance: object = None) -> Self:
        twin = super().expand(batch_shape)
        twin._last = None
        return twin

    @override
    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        shape = torch.Size(sample_shape) + self.batch_shape
        with torch.autocast(self.loc.device.type, enabled=False):
            z, log_q = self._push(shape)
        value = z.reshape(shape + self.event_shape)
        self._last = value, log_q
        return value

    @override
    def log_prob(self, value: Tensor) -> Tensor:
        if self._last is not None and value is self._last[0]:
            return self._last[1]
        return super().log_prob(value)

    @override
    def draw(self, shape: torch.Size) -> Tensor:
        return self._push(shape)[0]

    @override
    def log_density(self, z: Tensor) -> Tensor:
        u, log_det = (z - self.loc) / self.scale, self.scale.log().sum(-1)
        for step in reversed(self.steps):
            u, log_slope = step.inverse(u.flip(-1), self.h)
            log_det = log_det + log_slope
        return log_standard_normal(u) - log_det

    def _push(self, shape: torch.Size) -> tuple[Tensor, Tensor]:
        """Draws ``(*shape, D)`` and their log-densities ``shape``."""
        u = noise.standard_normal(shape + self.loc.shape[-1:], self.loc)
        log_q = log_standard_normal(u) - self.scale.log().sum(-1)
        h = self.h.expand(u.shape)
        for step in self.steps:
            u, log_det = step(u, h)
            u, log_q = u.flip(-1), log_q - log_det
        return self.loc + self.scale * u, log_q


def nearly_zero(layer: nn.Linear) -> nn.Linear:
    """``layer`` with its initial weights and biases shrunk a hundredfold, so that a step starts near the identity."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(0.01)
    return layer
