r"""Subsampling: how KL(q_N ‖ p) falls as images are added to the mixture q_N.

While the bubbles q(z|xₙ) are disjoint, log q_N(z) = log q(z|xₙ) − log N, so E KL(q_N ‖ p) = R − log N has slope −1 in
log N; where they overlap the slope rises to 0 and KL(q_N ‖ p) tends to KL(q_∞ ‖ p).

Repeat r takes nested random subsets S₁ ⊂ … ⊂ S_K of the images and draws z from q_{S₁} only. For random nested
subsets E[log q_{S_k}(z) − log p(z)] = E KL(q_{S_k} ‖ p) at every k, so one draw gives a whole curve, and slope and
extrapolation are means of linear contrasts in which the noise that the sizes share cancels. Draws of a repeat share
their subsets: the standard error rests on repeats, whose smallest subsets are disjoint.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Generator, Tensor
from torch.distributions import Distribution

from analysis.aggregate import Aggregate
from analysis.estimate import Estimate
from analysis.precision import log_prob_float64

LOGS_AT_ONCE = 2**24
"""Log-densities of draws under components that are in memory at a time, 128 MiB."""


@dataclass(frozen=True, slots=True)
class SubsamplingCurve:
    """Log-ratios at nested subsets of the images.

    sizes: |S|, ascending.
    log_ratio: log q_S(z) − log p(z), ``(repeat, draw, size)`` in nats.
    """

    sizes: tuple[int, ...]
    log_ratio: Tensor

    def kl(self) -> list[Estimate]:
        """E KL(q_S ‖ p) over random subsets S of each size."""
        return [self._contrast(unit) for unit in torch.eye(len(self.sizes), dtype=torch.float64)]

    def slope(self) -> Estimate:
        """Least-squares slope of E KL(q_S ‖ p) in log |S|: −1 for disjoint components, 0 for coinciding ones."""
        return self._contrast(self._slope_weights())

    def extrapolate(self, num_components: int) -> Estimate:
        """KL(q_N ‖ p) in nats beyond the largest size, on the fitted line.

        The curve flattens in log N as components begin to overlap, so the line bounds from below what more images of
        the same kind would give.

        Args:
            num_components: N.

        Raises:
            ValueError: if N is not beyond the largest size.
        """
        if num_components <= self.sizes[-1]:
            raise ValueError(
                f"expected more components than the largest size {self.sizes[-1]}; got {num_components}: "
                "inside the range read the curve itself"
            )
        logs = self._log_sizes()
        distance = math.log(num_components) - float(logs.mean())
        estimate = self._contrast(1 / len(logs) + distance * self._slope_weights())
        return replace(estimate, bound="lower", flags=(f"extrapolated from N ≤ {self.sizes[-1]}",))

    def _log_sizes(self) -> Tensor:
        return torch.tensor(self.sizes, dtype=torch.float64).log()

    def _slope_weights(self) -> Tensor:
        centred = self._log_sizes() - self._log_sizes().mean()
        return centred / centred.square().sum()

    def _contrast(self, weights: Tensor) -> Estimate:
        repeats = torch.arange(len(self.log_ratio), device=self.log_ratio.device)[:, None]
        values = self.log_ratio @ weights.to(self.log_ratio.device)
        return Estimate.mean(values, groups=repeats.expand_as(values))


def subsampling_curve(
    aggregate: Aggregate,
    prior: Distribution,
    sizes: Sequence[int],
    *,
    num_repeats: int,
    num_draws: int,
    generator: Generator,
) -> SubsamplingCurve:
    """KL(q_S ‖ p) along chains of nested random subsets S of the components.

    Args:
        aggregate: q_N.
        prior: p over the latent shape.
        sizes: |S|, rising strictly to at most N.
        num_repeats: chains; as many disjoint subsets of the smallest size must fit in N.
        num_draws: draws of the smallest subset of each chain.
        generator: the whole of the randomness.

    Raises:
        ValueError: if the sizes do not rise or do not fit.
    """
    ordered, num = tuple(sizes), aggregate.num_components
    rising = len(ordered) > 1 and all(small < large for small, large in pairwise(ordered))
    if not rising or ordered[0] < 1 or max(ordered[-1], num_repeats * ordered[0]) > num:
        raise ValueError(
            f"expected at least two rising sizes up to N = {num} with {num_repeats} disjoint subsets of the smallest; "
            f"got {ordered}: choose smaller sizes or fewer repeats"
        )
    shuffled = torch.randperm(num, generator=generator, device=generator.device)
    chains = []
    for repeat in range(num_repeats):
        others = torch.randperm(num - ordered[0], generator=generator, device=generator.device)
        rolled = shuffled.roll(-repeat * ordered[0])
        order = torch.cat([rolled[: ordered[0]], rolled[ordered[0] :][others]])
        chains.append((order, aggregate.subset(order[: ordered[0]]).sample(num_draws, generator)[0]))
    log_sizes = torch.tensor(ordered, dtype=torch.float64, device=aggregate.device).log()
    together = max(1, LOGS_AT_ONCE // (num_draws * num))
    repeats = []
    for few in (chains[start : start + together] for start in range(0, num_repeats, together)):
        # One pass over all components serves the draws of many chains, which differ in their subsets alone.
        logs = aggregate.log_prob_each(torch.cat([z for _, z in few])).split(num_draws)
        for (order, z), of_chain in zip(few, logs, strict=True):
            # Each subset holds those before it, so its density is theirs and that of the components it adds.
            added = of_chain[:, order.to(z.device)].tensor_split(ordered[:-1], 1)
            log_sums = torch.stack([part.logsumexp(1) for part in added[: len(ordered)]], -1)
            repeats.append(log_sums.logcumsumexp(-1) - log_sizes - log_prob_float64(prior, z)[:, None])
    return SubsamplingCurve(ordered, torch.stack(repeats))
