"""Distributions: a normal that draws from :mod:`models.noise`, and mixtures of normals at the cost of two products."""

from __future__ import annotations

import math

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from models import noise


class Normal(dist.Normal):
    """Univariate normal; torch's own ``rsample`` fills a tensor in place, which ``torch.func.vmap`` refuses."""

    def rsample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """``loc + scale · ε``, of shape ``sample_shape + batch_shape``."""
        shape = self._extended_shape(torch.Size(sample_shape))
        return self.loc + self.scale * noise.standard_normal(shape, self.loc)


class NormalMixture(TorchDistribution):
    r"""Mixture Σ_k w_k N(z; m_k, diag s_k²): logits ``(*batch, K)``, loc and scale ``(K, *event_shape)``.

    The elements of a batch share the components and have weights of their own; a logit of −∞ leaves one out.
    The quadratic forms are z² · s⁻² − 2 z · m s⁻² + Σ m² s⁻², two matrix products in place of a broadcast over
    ``(batch, K, D)``. In single precision that cancels to about 1e-7 of ‖z/s‖², which a gradient does not notice;
    evaluation runs in double precision.
    """

    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012 - torch's own protocol
    has_rsample = False

    def __init__(self, logits: Tensor, loc: Tensor, scale: Tensor) -> None:
        self.logits, self.loc, self.scale = logits, loc, scale
        super().__init__(logits.shape[:-1], loc.shape[1:], validate_args=False)

    @constraints.dependent_property
    def support(self) -> constraints.Constraint:
        """All real events."""
        return constraints.independent(constraints.real, len(self.event_shape))

    def expand(self, batch_shape: torch.Size | list[int] | tuple[int, ...], _instance: object = None) -> NormalMixture:
        """The same mixture, independently for each element of ``batch_shape``."""
        return NormalMixture(self.logits.expand(torch.Size(batch_shape) + self.logits.shape[-1:]), self.loc, self.scale)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density of ``value`` ``(…, *event_shape)`` in nats, ``(…,)``."""
        z, loc, scale = value.flatten(value.dim() - len(self.event_shape)), self.loc.flatten(1), self.scale.flatten(1)
        precision = scale.reciprocal().square()
        # Products of three digits would be off by whole nats, so a bf16 autocast is kept out.
        with torch.autocast(z.device.type, enabled=False):
            quadratic = z.square() @ precision.T - 2 * z @ (loc * precision).T + (loc.square() * precision).sum(1)
        normaliser = scale.log().sum(1) + 0.5 * loc.shape[1] * math.log(2 * math.pi)
        return (self.logits.log_softmax(-1) - 0.5 * quadratic - normaliser).logsumexp(-1)

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Draws of shape ``sample_shape + batch_shape + event_shape``, without gradient."""
        with torch.no_grad():
            component = torch.distributions.Categorical(logits=self.logits).sample(torch.Size(sample_shape))
            return torch.normal(self.loc[component], self.scale[component])


def mixture(logits: Tensor, components: TorchDistribution) -> TorchDistribution:
    """Mixture, with weights softmax(``logits``) ``(K,)``, of ``components`` (batch shape ``(K,)``)."""
    if isinstance(components, dist.Independent) and isinstance(components.base_dist, dist.Normal):
        return NormalMixture(logits, components.base_dist.loc, components.base_dist.scale)
    return dist.MixtureSameFamily(dist.Categorical(logits=logits), components)
