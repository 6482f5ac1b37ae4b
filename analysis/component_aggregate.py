r"""The aggregate posterior of N posteriors of any kind, evaluated exactly component by component.

    q_N(z) = (1/N) Σ_n q(z|x_n),        q_{−m}(z) = 1/(N−1) Σ_{n≠m} q(z|x_n)

:class:`~analysis.aggregate.AggregatePosterior` has the arithmetic of diagonal normals; here each q(z|x_n) need only
have a density that can be evaluated anywhere: a full-covariance normal, a flow, a von Mises-Fisher law. The cost is one
evaluation of that density for each pair of point and component.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Self

import torch
from torch import Tensor
from torch.distributions import Distribution

from analysis.aggregate import MAX_COVARIANCE_DIM, AggregatePosterior
from analysis.precision import to_float64
from analysis.randomness import seeded

COMPONENTS_PER_BLOCK = 256
ELEMENTS_PER_BLOCK = 2**22


class ComponentAggregate:
    """q_N over N posteriors; the interface and conventions of :class:`~analysis.aggregate.AggregatePosterior`.

    Args:
        components: the posteriors of the components int64 [n] it is given, as one distribution of batch shape (n,).
        num_components: N.
        device: where the components live.
    """

    def __init__(self, components: Callable[[Tensor], Distribution], num_components: int, device: torch.device) -> None:
        if num_components < 1:
            raise ValueError(f"an aggregate needs at least one component; got {num_components}")
        self._components = components
        self.num_components = num_components
        self.device = device
        first = self._at(torch.zeros(1, dtype=torch.int64, device=device))
        self.latent_shape = first.event_shape
        self.latent_dim = math.prod(self.latent_shape)
        self.dtype = first.sample().dtype

    def log_prob(self, z: Tensor) -> Tensor:
        """log q_N(z_m), float64 [M]."""
        total, _ = self._log_sums(z, None)
        return total - math.log(self.num_components)

    def log_prob_both(self, z: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
        """``log_prob(z)`` and the density that leaves out component ``own`` int64 [M]; −inf where N = 1."""
        total, others = self._log_sums(z, own)
        return total - math.log(self.num_components), others - math.log(max(self.num_components - 1, 1))

    def component_log_prob(self, z: Tensor, own: Tensor) -> Tensor:
        """log q(z_m | x_own), float64 [M], for own components int64 [M]."""
        pairs = zip(z.split(COMPONENTS_PER_BLOCK), own.split(COMPONENTS_PER_BLOCK), strict=True)
        return torch.cat([to_float64(self._at(rows)).log_prob(points.double()) for points, rows in pairs])

    def sample(self, num: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """``num`` independent draws [num, *latent_shape] and the components they came from, int64 [num]."""
        component = torch.randint(self.num_components, (num,), generator=generator, device=generator.device)
        return self._draw(component.to(self.device), generator)

    def sample_per_image(
        self, draws_per_image: int, generator: torch.Generator, indices: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """``draws_per_image`` draws from each component in ``indices`` (default: all N), adjacent, and components."""
        if indices is None:
            indices = torch.arange(self.num_components, device=self.device)
        return self._draw(indices.repeat_interleave(draws_per_image), generator)

    def subset(self, indices: Tensor) -> Self:
        """The aggregate of the components ``indices``, int64 [n], in that order."""
        chosen = indices.to(self.device)
        return type(self)(lambda rows: self._at(chosen[rows]), len(chosen), self.device)

    @property
    def mean(self) -> Tensor:
        """μ̄, float64 [D]; ValueError where a posterior has no mean in closed form."""
        return self._moments[0]

    @property
    def marginal_variance(self) -> Tensor:
        """Var(μ_d) + E Var q_d, float64 [D]; ValueError as for the mean."""
        return self._moments[1].diagonal() if self._moments[1].ndim == 2 else self._moments[1]

    def covariance(self) -> Tensor:
        """Cov(μ) + E Cov q, float64 [D, D].

        Raises:
            ValueError: where a posterior has no covariance in closed form, or D exceeds ``MAX_COVARIANCE_DIM``.
        """
        if self._moments[1].ndim != 2:
            raise ValueError("the covariance of these posteriors has no closed form")
        return self._moments[1]

    @cached_property
    def _moments(self) -> tuple[Tensor, Tensor]:
        """Mean and covariance [D, D], or the marginal variances [D] alone where a covariance is not known."""
        if self.latent_dim > MAX_COVARIANCE_DIM:
            raise ValueError(f"moments of these posteriors are limited to D ≤ {MAX_COVARIANCE_DIM}")
        means, within = [], torch.zeros((), dtype=torch.float64, device=self.device)
        for q in self._blocks():
            twin = to_float64(q)
            try:
                means.append(twin.mean.reshape(-1, self.latent_dim))
                spread = twin.covariance_matrix if hasattr(twin, "covariance_matrix") else twin.variance
            except NotImplementedError as error:
                raise ValueError("the moments of these posteriors have no closed form") from error
            within = within + spread.reshape(len(means[-1]), self.latent_dim, -1).sum(0) / self.num_components
        loc = torch.cat(means)
        centred = loc - loc.mean(0)
        if within.shape[1] == 1:
            return loc.mean(0), within[:, 0] + centred.square().mean(0)
        return loc.mean(0), within + centred.T @ centred / self.num_components

    def _log_sums(self, z: Tensor, exclude: Tensor | None) -> tuple[Tensor, Tensor]:
        """Log-sums of the component densities [M]: over all components, and over all but the excluded one."""
        if z.shape[1:] != self.latent_shape:
            raise ValueError(f"z must be [M, {', '.join(map(str, self.latent_shape))}]; got {list(z.shape)}")
        totals, others = [], []
        rows = max(1, ELEMENTS_PER_BLOCK // (COMPONENTS_PER_BLOCK * self.latent_dim))
        blocks = [to_float64(q) for q in self._blocks()]
        for start in range(0, len(z), rows):
            points = z[start : start + rows, None].double()
            total = torch.full((len(points),), -math.inf, dtype=torch.float64, device=self.device)
            other = total.clone()
            first = 0
            for q in blocks:
                logs = q.log_prob(points)
                total = torch.logaddexp(total, logs.logsumexp(1))
                if exclude is not None:
                    component = first + torch.arange(logs.shape[1], device=self.device)
                    left = logs.masked_fill(component == exclude[start : start + rows, None], -math.inf)
                    other = torch.logaddexp(other, left.logsumexp(1))
                first += logs.shape[1]
            totals.append(total)
            others.append(other)
        return torch.cat(totals), torch.cat(others)

    def _at(self, indices: Tensor) -> Distribution:
        with torch.no_grad():
            return self._components(indices)

    def _blocks(self) -> Iterator[Distribution]:
        for rows in torch.arange(self.num_components, device=self.device).split(COMPONENTS_PER_BLOCK):
            yield self._at(rows)

    def _draw(self, component: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        with seeded(generator, self.device), torch.no_grad():
            z = [self._at(rows).sample() for rows in component.split(COMPONENTS_PER_BLOCK)]
        return torch.cat(z), component


Aggregate = AggregatePosterior | ComponentAggregate
