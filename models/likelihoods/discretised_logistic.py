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

from typing import ClassVar, final, override

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints
from torch.nn.functional import logsigmoid, softplus

from models.context import Context
from models.distributions import EventDistribution
from models.likelihoods._base import Likelihood
from models.options import Count
from models.positive import positive

LEVELS = 256
_TOP = LEVELS - 1
_MIN_SCALE = 5e-4
"""An eighth of the distance between levels; sharper logistics put the same mass into one level."""
_START = 0.1269280110429725
"""Widths start near a tenth of the grey scale, at softplus(−2)."""


@final
class LogisticLevels(EventDistribution):
    """Images on the levels 0, 1/255, …, 1, each pixel value a mixture of K logistics.

    logits, loc, scale: weights before their softmax, means, and scales > 0, ``(*batch, K, *event_shape)``.
    event_dim: number of dimensions of an event, at least 1.
    """

    tensors: ClassVar[tuple[str, ...]] = ("logits", "loc", "scale")
    elements = constraints.unit_interval

    def __init__(self, logits: Tensor, loc: Tensor, scale: Tensor, event_dim: int) -> None:
        self.logits, self.loc, self.scale = (tensor.flatten(-event_dim) for tensor in (logits, loc, scale))
        super().__init__(loc.shape[: -1 - event_dim], loc.shape[-event_dim:])

    @constraints.dependent_property(is_discrete=True)
    def support(self) -> constraints.Constraint:
        """Images in [0, 1], of which only the levels have mass."""
        return constraints.independent(self.elements, len(self.event_shape))

    @override
    def log_density(self, z: Tensor) -> Tensor:
        """Log-mass in nats, ``(…,)``, of images as vectors ``z`` ``(…, P)``."""
        level = (z * _TOP).round().unsqueeze(-2)
        upper = ((level + 0.5) / _TOP - self.loc) / self.scale
        lower = ((level - 0.5) / _TOP - self.loc) / self.scale
        below = torch.where(level >= _TOP, 0.0, logsigmoid(upper))
        above = torch.where(level <= 0, 0.0, logsigmoid(-lower))
        within = torch.log(-torch.expm1(-1 / (_TOP * self.scale)))
        inside = torch.where((level > 0) & (level < _TOP), within, 0.0)
        return (self.logits.log_softmax(-2) + below + above + inside).logsumexp(-2).sum(-1)

    @property
    def mean(self) -> Tensor:
        """Mean of the logistics cut to [0, 1], within half a level of the mean of the levels' masses."""
        covered = softplus(self.loc / self.scale) - softplus((self.loc - 1) / self.scale)
        return self.shaped((self.logits.softmax(-2) * self.scale * covered).sum(-2))

    @override
    def draw(self, shape: torch.Size) -> Tensor:
        logits, loc, scale = (t.movedim(-2, -1) for t in (self.logits, self.loc, self.scale))
        num_samples = shape[: len(shape) - len(self.batch_shape)]
        component = torch.distributions.Categorical(logits=logits).sample(num_samples)[..., None]
        everywhere = component.shape[:-1] + loc.shape[-1:]
        loc, scale = (t.expand(everywhere).gather(-1, component)[..., 0] for t in (loc, scale))
        draws = loc + scale * torch.rand_like(loc).logit(eps=1e-6)
        return (draws * _TOP).round().clamp(0, _TOP) / _TOP


@final
class DiscretisedLogistic(Likelihood):
    """K logistics for each pixel value, parameters from the decoder; means start spread over [0, 1].

    context: shapes and network.
    components: K.
    """

    reference = "Salimans et al. 2017, arXiv:1701.05517"

    def __init__(self, context: Context, *, components: Count = 5) -> None:
        super().__init__(context)
        self.decoder = context.network.decoder(context.shapes, outputs=3 * components)
        self.components = components

    @override
    def forward(self, latents: Tensor) -> TorchDistribution:
        maps = self.decode(latents).movedim(0, -1 - len(self.image_shape))
        logits, offset, raw = maps.tensor_split((self.components, 2 * self.components), -1 - len(self.image_shape))
        start = (torch.arange(self.components, device=raw.device, dtype=raw.dtype) + 0.5) / self.components
        loc = start.reshape(-1, *[1] * len(self.image_shape)) + offset
        return LogisticLevels(logits, loc, positive(raw, _MIN_SCALE, start=_START), len(self.image_shape))
