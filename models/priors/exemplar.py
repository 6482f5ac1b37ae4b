r"""Exemplar prior: a Parzen window on the codes of K training images x_k, p(z) = (1/K) Σ_k N(z; μ(x_k), s² I).

μ(x) is the mean of q(z|x) and s one learned scale. In training, an image that is itself an exemplar must not see its
own code, or p(z) would reward memory: its component is left out. It is recognised by its pixels, since training sees
binarised images b of grey exemplars x. If b was drawn from x, then pixels b_i ~ Bernoulli(x_i) are independent and
T = −log P(b | x) has

    E T = Σ_i H(x_i),   Var T = Σ_i x_i (1 − x_i) logit(x_i)²,

and exemplars with T ≤ E T + 6 √Var T are left out. Images that are grey as they are have T = E T, and images cut at ½
have T ≤ E T, so they are recognised as well. A near twin of an exemplar is left out too: of the other exemplars one in
10,000 on MNIST, one in 40 on 8×8 digits. The likelihood tells images apart better than |b − x|² with its E and Var,
by which one in six digits would go. Left out of the paper: retrieval of nearest exemplars by an index, in place of
which all K take part in every step; and drawing them anew in every epoch.
"""

from __future__ import annotations

import math
from typing import final, override

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn
from torch.nn.functional import softplus

from models.context import Context
from models.distributions import NormalMixture
from models.options import AtLeastTwo, Positive
from models.positive import inverse_softplus
from models.priors._base import MIN_SCALE, check_memory
from models.priors._of_posteriors import PosteriorPrior

_DEVIATIONS = 6.0
_SLACK = 0.1
"""Nats for rounding; one pixel that contradicts an exemplar costs nine."""
_EDGE = 1e-4
"""Pixels are taken as at least this far from 0 and 1, so that no surprise is infinite."""


@final
class Exemplar(PosteriorPrior):
    """Mixture of normals at the codes of the first training images.

    context: shapes, examples, and the posterior. Without examples the exemplars are uniform noise, to be replaced by a
        stored state.
    exemplars: K at most; there are fewer where the context has fewer examples.
    scale: where s starts, in units of the latent.

    Raises ValueError where the context holds no posterior.
    """

    reference = "Norouzi et al. 2020, arXiv:2004.04795"
    repeats_training_images = True

    def __init__(self, context: Context, *, exemplars: AtLeastTwo = 500, scale: Positive = 1.0) -> None:
        super().__init__(context)
        check_memory("exemplars", exemplars, max(context.latent_dim, math.prod(context.image_shape)))
        examples = torch.rand(exemplars, *context.image_shape) if context.examples is None else context.examples
        self.exemplars: Tensor
        self.register_buffer("exemplars", examples[:exemplars].clone())
        self.raw_scale = nn.Parameter(torch.tensor(inverse_softplus(scale)))

    @override
    def forward(self) -> TorchDistribution:
        return self._mixture(self.raw_scale.new_zeros(len(self.exemplars)))

    @override
    def for_training(self, images: Tensor) -> TorchDistribution:
        """p(z) less each image's own exemplar, batch shape ``(B,)``; an image that resembles all of them keeps all."""
        own = self.resembles(images)
        left_out = own & ~own.all(1, keepdim=True)
        return self._mixture(self.raw_scale.new_zeros(own.shape).masked_fill(left_out, -math.inf))

    def resembles(self, images: Tensor) -> Tensor:
        """Whether each of ``images`` ``(B, *image_shape)`` may be a binarisation of each exemplar, ``(B, K)``."""
        grey, observed = self.exemplars.flatten(1), images.flatten(1)
        inner = grey.clamp(_EDGE, 1 - _EDGE)
        logits, log_off = inner.logit(), torch.log1p(-inner).sum(1)
        with torch.autocast(observed.device.type, enabled=False):
            surprise = -(observed @ logits.T + log_off)
        expected = -((grey * logits).sum(1) + log_off)
        deviation = (grey * (1 - grey) * logits.square()).sum(1).sqrt()
        return surprise <= expected + _DEVIATIONS * deviation + _SLACK

    def _mixture(self, logits: Tensor) -> TorchDistribution:
        loc, _ = self.moments(self.exemplars)
        return NormalMixture(logits, loc, (softplus(self.raw_scale) + MIN_SCALE).expand_as(loc))
