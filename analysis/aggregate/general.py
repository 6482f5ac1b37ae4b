r"""General aggregate: q_N of posteriors of any kind whose density can be evaluated at every point.

A full-covariance normal, a flow, a von Mises-Fisher law: the cost is one evaluation of that density for each pair of
point and component. Moments are exact where the posteriors have theirs in closed form.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Self, final, override

import torch
from torch import Tensor
from torch.distributions import Distribution

from analysis.aggregate.base import Aggregate
from analysis.aggregate.codes import InMemoryCodes
from analysis.precision import to_float64
from analysis.randomness import seeded, stream

COMPONENTS_PER_BLOCK = 256
ELEMENTS_PER_BLOCK = 2**22

MOMENT_DRAWS = 64
"""Draws behind the mean and scale of a posterior that has neither in closed form."""


@final
class GeneralAggregate(Aggregate):
    """q_N over posteriors of any kind.

    Args:
        components: gives the posteriors of the images int64 ``(n,)``, as one distribution of batch shape ``(n,)`` over
            the latent shape; always the same for the same image.
        num_components: N.
        device: where the components live.

    Raises:
        ValueError: if N < 1.
    """

    def __init__(self, components: Callable[[Tensor], Distribution], num_components: int, device: torch.device) -> None:
        if num_components < 1:
            raise ValueError(f"an aggregate needs at least one component; got {num_components}")
        self._components = components
        self.device = device
        first = torch.zeros(1, dtype=torch.int64, device=device)
        draw = self._draw(first, stream(0, "shape of a draw", device=device))
        super().__init__(num_components, draw.shape[1:], draw.dtype, device)

    @override
    def component_moments(self) -> InMemoryCodes:
        every = torch.arange(self.num_components, device=self.device)
        with seeded(stream(0, "posterior moments"), self.device), torch.no_grad():
            moments = [_moments(self._at(rows)) for rows in every.split(COMPONENTS_PER_BLOCK)]
        return InMemoryCodes(torch.cat([loc for loc, _ in moments]), torch.cat([scale for _, scale in moments]))

    @override
    def _subset(self, indices: Tensor) -> Self:
        return type(self)(lambda rows: self._at(indices[rows]), len(indices), self.device)

    @override
    def _log_sums(self, points: Tensor, exclude: Tensor | None) -> tuple[Tensor, Tensor]:
        rows = max(1, ELEMENTS_PER_BLOCK // (COMPONENTS_PER_BLOCK * self.latent_dim))
        totals = torch.full((len(points),), -math.inf, dtype=torch.float64, device=self.device)
        others, first = totals.clone(), 0
        for q in self._blocks(COMPONENTS_PER_BLOCK):  # one in memory at a time: N posteriors may have N·D² numbers
            for few in torch.arange(len(points), device=self.device).split(rows):
                logs = q.log_prob(points[few, None].double())
                totals[few] = torch.logaddexp(totals[few], logs.logsumexp(1))
                if exclude is not None:
                    component = first + torch.arange(logs.shape[1], device=self.device)
                    left = logs.masked_fill(component == exclude[few, None], -math.inf)
                    others[few] = torch.logaddexp(others[few], left.logsumexp(1))
            first += logs.shape[1]
        return totals, others

    @override
    def _logs_each(self, points: Tensor) -> Tensor:
        rows = max(1, ELEMENTS_PER_BLOCK // (COMPONENTS_PER_BLOCK * self.latent_dim))
        every = points[:, None].double().split(rows)
        blocks = self._blocks(COMPONENTS_PER_BLOCK)
        return torch.cat([torch.cat([q.log_prob(few) for few in every]) for q in blocks], 1)

    @override
    def _component_logs(self, points: Tensor, component: Tensor) -> Tensor:
        pairs = zip(points.split(COMPONENTS_PER_BLOCK), component.split(COMPONENTS_PER_BLOCK), strict=True)
        return torch.cat([to_float64(self._at(rows)).log_prob(few.double()) for few, rows in pairs])

    @override
    def _draw(self, component: Tensor, generator: torch.Generator) -> Tensor:
        with seeded(generator, self.device), torch.no_grad():
            return torch.cat([self._at(rows).sample() for rows in component.split(COMPONENTS_PER_BLOCK)])

    @override
    def _rows(self) -> Iterator[tuple[Tensor, Tensor]]:
        for q in self._blocks(COMPONENTS_PER_BLOCK):
            try:
                loc, variance = q.mean, q.variance
            except NotImplementedError as error:
                raise ValueError("the moments of these posteriors have no closed form") from error
            yield loc.reshape(-1, self.latent_dim), variance.reshape(-1, self.latent_dim)

    @override
    def _mean_covariance(self) -> Tensor:
        total = torch.zeros(self.latent_dim, self.latent_dim, dtype=torch.float64, device=self.device)
        for q in self._blocks(min(COMPONENTS_PER_BLOCK, max(1, ELEMENTS_PER_BLOCK // self.latent_dim**2))):
            if not hasattr(q, "covariance_matrix"):
                raise ValueError("the covariance of these posteriors has no closed form")
            total += q.covariance_matrix.sum(0)
        return total / self.num_components

    def _at(self, indices: Tensor) -> Distribution:
        with torch.no_grad():
            return self._components(indices)

    def _blocks(self, size: int) -> Iterator[Distribution]:
        """One pass over the posteriors in order, in float64, ``size`` images at a time."""
        for rows in torch.arange(self.num_components, device=self.device).split(size):
            yield to_float64(self._at(rows))


def _moments(q: Distribution) -> tuple[Tensor, Tensor]:
    """Mean and marginal standard deviations ``(n, *latent_shape)`` of n posteriors."""
    try:
        return q.mean, q.variance.sqrt()
    except NotImplementedError:
        draws = q.sample((MOMENT_DRAWS,))
        return draws.mean(0), draws.std(0)
