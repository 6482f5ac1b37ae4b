r"""Discretised logistic mixture likelihood: a probability mass over the 256 levels of each pixel value.

    P(x = j/255 | z) = Σ_k π_k [σ((x + h − m_k)/s_k) − σ((x − h − m_k)/s_k)],    h = 1/510,

with the lowest level taking all mass below it and the highest all above. A mixture of K logistics for each pixel value,
channels included, independently given z; PixelCNN++ conditions them on each other. A mass needs no floor and compares
across scales, in nats for all of x; the pixel is read as its nearest level.

Binarised images have only the two end levels. Their mass is a Bernoulli's where all of it lies at the ends, which the
tails of the logistics can reach; what lies between is lost, so the Bernoulli is never worse there.

As σ(a) − σ(b) = σ(a) σ(−b) (1 − e^{b − a}), a level's log-mass is a sum of three terms that none of its tails spoils.
"""

from __future__ import annotations

from typing import final, override

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints
from torch.nn.functional import logsigmoid, softplus

from models.context import Context
from models.likelihoods._base import Likelihood

LEVELS = 256
_TOP = LEVELS - 1
_MIN_SCALE = 5e-4
"""An eighth of the distance between levels; sharper logistics put the same mass into one level."""


@final
class LogisticLevels(TorchDistribution):
    """Images of ``event_shape`` on the levels 0, 1/255, …, 1: logits, loc and scale ``(*batch, K, *event_shape)``."""

    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012 - torch's own protocol
    has_rsample = False

    def __init__(self, logits: Tensor, loc: Tensor, scale: Tensor, event_dim: int) -> None:
        self.logits, self.loc, self.scale, self._axis = logits, loc, scale, -1 - event_dim
        super().__init__(loc.shape[: self._axis], loc.shape[-event_dim:], validate_args=False)

    @constraints.dependent_property(is_discrete=True)
    def support(self) -> constraints.Constraint:
        """Images in [0, 1]."""
        return constraints.independent(constraints.unit_interval, len(self.event_shape))

    def expand(self, batch_shape: torch.Size | list[int] | tuple[int, ...], _instance: object = None) -> LogisticLevels:
        """The same masses for a batch shape that the present one broadcasts to."""
        shape = torch.Size(batch_shape) + self.loc.shape[self._axis :]
        logits, loc, scale = (t.expand(shape) for t in (self.logits, self.loc, self.scale))
        return LogisticLevels(logits, loc, scale, len(self.event_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-mass of images ``(…, *event_shape)`` in nats, summed over pixels."""
        level = (value * _TOP).round().unsqueeze(self._axis)
        upper = ((level + 0.5) / _TOP - self.loc) / self.scale
        lower = ((level - 0.5) / _TOP - self.loc) / self.scale
        below = torch.where(level >= _TOP, 0.0, logsigmoid(upper))
        above = torch.where(level <= 0, 0.0, logsigmoid(-lower))
        within = torch.log(-torch.expm1(-1 / (_TOP * self.scale)))
        inside = torch.where((level > 0) & (level < _TOP), within, 0.0)
        mass = (self.logits.log_softmax(self._axis) + below + above + inside).logsumexp(self._axis)
        return mass.flatten(mass.dim() - len(self.event_shape)).sum(-1)

    @property
    def mean(self) -> Tensor:
        """Mean of the logistics cut to [0, 1], within half a level of the mean of the levels' masses."""
        covered = softplus(self.loc / self.scale) - softplus((self.loc - 1) / self.scale)
        return (self.logits.softmax(self._axis) * self.scale * covered).sum(self._axis)

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Images of shape ``sample_shape + batch_shape + event_shape``, without gradient."""
        with torch.no_grad():
            logits, loc, scale = (t.movedim(self._axis, -1) for t in (self.logits, self.loc, self.scale))
            component = torch.distributions.Categorical(logits=logits).sample(torch.Size(sample_shape))[..., None]
            shape = component.shape[:-1] + loc.shape[-1:]
            loc, scale = (t.expand(shape).gather(-1, component)[..., 0] for t in (loc, scale))
            draws = loc + scale * torch.rand_like(loc).logit(eps=1e-6)
            return (draws * _TOP).round().clamp(0, _TOP) / _TOP


@final
class DiscretisedLogistic(Likelihood):
    """``components`` K logistics for each pixel value, parameters from the decoder, means spread over [0, 1]."""

    reference = "Salimans et al. 2017, arXiv:1701.05517"

    def __init__(self, context: Context, *, components: int = 5) -> None:
        super().__init__(context)
        if components < 1:
            raise ValueError(f"likelihood.components must be at least 1; got {components}")
        self.decoder = context.network.decoder(context, outputs=3 * components)
        self.components = components

    @override
    def forward(self, latents: Tensor) -> TorchDistribution:
        maps = self.decode(latents).movedim(0, -1 - len(self.image_shape))
        logits, offset, raw = maps.tensor_split((self.components, 2 * self.components), -1 - len(self.image_shape))
        start = (torch.arange(self.components, device=raw.device, dtype=raw.dtype) + 0.5) / self.components
        loc = start.reshape(-1, *[1] * len(self.image_shape)) + offset
        # Widths start near a tenth of the grey scale: softplus(−2) = 0.13.
        return LogisticLevels(logits, loc, softplus(raw - 2) + _MIN_SCALE, len(self.image_shape))
