r"""Energy prior: p(z) = N(z; 0, I) r(z)/Z, log r(z) = B tanh(f(z)/B) with a network f, Z = E r(z) under N(0, I).

B bounds how far log r, and so how much any one draw can count in Z. The noise-contrastive prior of the paper has this
form but is trained in two stages: when the VAE is done, f becomes the logit of a classifier that tells its codes from
draws of N(0, I), and r estimates the ratio of their densities, for which Z = 1. Here there is one loss and f is trained
by maximum likelihood through the ELBO, with the encoder: the gradient of −log p raises f at codes and lowers it at
draws of N(0, I) in proportion to r, which are importance samples of p. Z is not 1 and has to be estimated, and
importance sampling sets a limit. As log Z is concave in Z, it comes out too small by Var r/(2 Z² S) for S draws, which
favours narrow peaks that few draws hit; where KL(p ‖ N(0, I)) nears log S, ``log_prob_standard_error`` nears 1 and
tells that Z is unknown.
"""

from __future__ import annotations

from typing import final, override

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from models.context import Context
from models.options import AtLeastTwo, Positive, Repeats, Widths
from models.priors._base import check_memory
from models.priors._reweighted import ReweightedNormal, ReweightedPrior, log_mean_exp, output_at

_ELEMENTS_PER_BLOCK = 2**24


@final
class Energy(ReweightedPrior):
    """N(0, I) times the exponential of a bounded network, normalised by sampling.

    context: shapes.
    bound: B, in nats.
    hidden: units of each tanh layer of f.
    draws, evaluation_draws: how many draws of N(0, I) estimate Z in a training step and for p(z) itself.
    proposals: from how many draws of N(0, I) each sample is chosen.
    """

    reference = "Aneja et al. 2021, arXiv:2010.02917"

    def __init__(
        self,
        context: Context,
        *,
        bound: Positive = 5.0,
        hidden: Widths = (100, 100),
        draws: AtLeastTwo = 1024,
        evaluation_draws: AtLeastTwo = 65_536,
        proposals: Repeats = 500,
    ) -> None:
        # f has no last bias: a constant in log r cancels in r/Z.
        super().__init__(context, hidden, draws, evaluation_draws, bias=False)
        check_memory("proposals", proposals, context.latent_dim)
        self.bound, self.proposals = bound, proposals

    @override
    def from_outputs(self, outputs: Tensor) -> TorchDistribution:
        log_normaliser, standard_error = log_mean_exp(_bounded(outputs, self.bound))
        return TiltedNormal(self.network, self.loc, self.bound, self.proposals, log_normaliser, standard_error)


class TiltedNormal(ReweightedNormal):
    """N(z; 0, I) r(z)/Z with log r bounded by ``bound`` nats.

    network, loc, log_prob_standard_error: as in :class:`ReweightedNormal`.
    proposals: K, from how many draws of N(0, I) each sample is chosen.
    log_normaliser: log Z, 0-d.
    """

    def __init__(
        self,
        network: nn.Module,
        loc: Tensor,
        bound: float,
        proposals: int,
        log_normaliser: Tensor,
        log_prob_standard_error: Tensor,
    ) -> None:
        self.bound, self.proposals = bound, proposals
        self.log_normaliser = log_normaliser
        super().__init__(network, loc, log_prob_standard_error)

    @override
    def log_weight(self, output: Tensor) -> Tensor:
        return _bounded(output, self.bound) - self.log_normaliser.to(output.dtype)

    @override
    def draw(self, shape: torch.Size) -> Tensor:
        """Draws by sampling-importance-resampling.

        Each is chosen, with probability in proportion to r, among ``proposals`` K draws of N(0, I) of its own. That is
        exact only as K → ∞: its density is off by the order of Var r/(Z² K), relative to p and towards N(0, I).
        """
        num, dim = shape.numel(), self.loc.numel()
        block = max(_ELEMENTS_PER_BLOCK // (self.proposals * dim), 1)
        chosen = []
        for start in range(0, num, block):
            size = min(block, num - start)
            z = self.base_sample(size * self.proposals)
            log_r = _bounded(output_at(z, self.network), self.bound).reshape(size, self.proposals)
            pick = torch.distributions.Categorical(logits=log_r).sample()
            chosen.append(z.reshape(size, self.proposals, dim)[torch.arange(size, device=z.device), pick])
        return torch.cat(chosen).reshape(*shape, dim)


def _bounded(output: Tensor, bound: float) -> Tensor:
    return bound * (output / bound).tanh()
