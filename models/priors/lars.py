r"""LARS, learned accept/reject sampling: N(0, I) thinned by a learned acceptance probability, for at most T proposals.

A draw proposes z ~ N(0, I) and keeps it with probability a(z) in (0, 1); the T-th proposal is kept in any case. With
Z = E a(z) under N(0, I), the t-th proposal is reached with probability (1 − Z)^{t−1}, and so

    p(z) = N(z; 0, I) [ (1 − (1 − Z)^{T−1}) a(z)/Z + (1 − Z)^{T−1} ].

log Z and log(1 − Z) are estimated from the same draws, each as a mean, so that neither cancels. The standard error of
log Z stands for that of log p: ∂ log p/∂ log Z lies between −1 and 0 where a(z) ≥ Z, and its mean under p is
(1 − Z)^{T−1} − 1. Beyond that holds only where proposals are all but refused, a(z) ≪ Z. Where the paper smooths Z over
steps for the value and differentiates the current draws', here the current draws give both.
"""

from __future__ import annotations

from typing import final, override

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from models.context import Context
from models.options import AtLeastTwo, Widths
from models.priors._reweighted import ReweightedNormal, ReweightedPrior, log_mean_exp, output_at


@final
class LARS(ReweightedPrior):
    """N(0, I) thinned by a learned acceptance probability a = sigmoid f.

    context: shapes.
    rounds: T, proposals at most; of one alone every proposal would be kept.
    hidden: units of each tanh layer of f.
    draws, evaluation_draws: how many draws of N(0, I) estimate Z in a training step and for p(z) itself.
    """

    reference = "Bauer & Mnih 2019, arXiv:1810.11428"

    def __init__(
        self,
        context: Context,
        *,
        rounds: AtLeastTwo = 100,
        hidden: Widths = (100, 100),
        draws: AtLeastTwo = 1024,
        evaluation_draws: AtLeastTwo = 65_536,
    ) -> None:
        super().__init__(context, hidden, draws, evaluation_draws, bias=True)
        self.rounds = rounds

    @override
    def from_outputs(self, outputs: Tensor) -> TorchDistribution:
        log_accept, standard_error = log_mean_exp(logsigmoid(outputs))
        log_reject, _ = log_mean_exp(logsigmoid(-outputs))
        return AcceptRejectNormal(self.network, self.loc, self.rounds, log_accept, log_reject, standard_error)


class AcceptRejectNormal(ReweightedNormal):
    """N(0, I) thinned in at most ``rounds`` T proposals.

    network, loc, log_prob_standard_error: as in :class:`ReweightedNormal`.
    log_accept, log_reject: log Z and log(1 − Z), 0-d.
    """

    def __init__(
        self,
        network: nn.Module,
        loc: Tensor,
        rounds: int,
        log_accept: Tensor,
        log_reject: Tensor,
        log_prob_standard_error: Tensor,
    ) -> None:
        self.rounds = rounds
        self.log_accept = log_accept
        self.log_last = (rounds - 1) * log_reject
        super().__init__(network, loc, log_prob_standard_error)

    @override
    def log_weight(self, output: Tensor) -> Tensor:
        log_earlier = (-self.log_last.expm1()).log() - self.log_accept
        return torch.logaddexp(log_earlier.to(output.dtype) + logsigmoid(output), self.log_last.to(output.dtype))

    @override
    def draw(self, shape: torch.Size) -> Tensor:
        """Draws of which each round renews the proposals that were refused."""
        z = self.base_sample(shape.numel())
        refused = torch.arange(len(z), device=z.device)
        for _ in range(self.rounds - 1):
            accept = output_at(z[refused], self.network).sigmoid()
            refused = refused[torch.rand_like(accept) >= accept]
            z[refused] = self.base_sample(len(refused))
        return z.reshape(*shape, z.shape[-1])
