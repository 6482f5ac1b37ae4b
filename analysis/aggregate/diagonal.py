r"""Diagonal aggregate: q_N of posteriors q(z|xₙ) = N(μₙ, diag σ²ₙ), whose codes are in memory or streamed.

    q_N(z) = (1/N) Σₙ N(z; μₙ, diag σ²ₙ),        mean μ̄,        covariance Cov(μ) + diag((1/N) Σ σ²ₙ)

Log-densities are exact log-sums over all components (:mod:`analysis.pairwise`); codes in float32 on the CPU take its
compiled kernel.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar, Self, final, override

import torch
from torch import Tensor

from analysis.aggregate.base import Aggregate
from analysis.aggregate.codes import ROW_ELEMENTS, CodeSource, InMemoryCodes
from analysis.geometry.distances import flat, squared_distance_blocks
from analysis.pairwise import mixture_log_density, normal_log_density


@final
class DiagonalAggregate(Aggregate):
    """q_N over diagonal normals.

    One pass over the codes serves all points of a call.

    Args:
        codes: μ and σ of the N images, :class:`InMemoryCodes` or :class:`StreamedCodes`.

    >>> from analysis.randomness import stream
    >>> loc = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
    >>> aggregate = DiagonalAggregate(InMemoryCodes(loc, torch.full_like(loc, 0.1)))
    >>> z, component = aggregate.sample_per_image(1, stream(0, "example"))
    >>> information = aggregate.component_log_prob(z, component) - aggregate.log_prob(z)
    >>> [round(nats, 4) for nats in information.tolist()]  # bubbles far apart: log N = log 3 each
    [1.0986, 1.0986, 1.0986]
    >>> [round(variance, 4) for variance in aggregate.marginal_variance.tolist()]
    [2.01, 3.5656]
    """

    is_diagonal: ClassVar[bool] = True

    def __init__(self, codes: CodeSource) -> None:
        super().__init__(len(codes), codes.latent_shape, codes.dtype, codes.device)
        self.codes = codes

    @override
    def bubbles(self) -> InMemoryCodes:
        return self.codes.in_memory()

    @override
    def component_moments(self) -> InMemoryCodes:
        return self.codes.in_memory()

    @override
    def _subset(self, indices: Tensor) -> Self:
        return type(self)(self.codes.at(indices))

    @override
    def _log_sums(self, points: Tensor, exclude: Tensor | None) -> tuple[Tensor, Tensor]:
        return mixture_log_density(points.flatten(1), self.codes.blocks(), exclude)

    @override
    def _logs_each(self, points: Tensor) -> Tensor:
        rows, constant = flat(points), self.latent_dim * math.log(2 * math.pi)
        logs = []
        for loc, scale in self.codes.blocks():
            normalisers = constant + 2 * scale.double().log().sum(1)
            for block, squared in squared_distance_blocks(rows, loc, scale):
                logs.append((squared + normalisers[block, None]).mul_(-0.5))
        return torch.cat(logs).T

    @override
    def _component_logs(self, points: Tensor, component: Tensor) -> Tensor:
        logs = torch.empty(len(points), dtype=torch.float64, device=self.device)
        for rows, loc, scale in self.codes.select(component):
            logs[rows] = normal_log_density(points[rows].flatten(1), loc, scale)
        return logs

    @override
    def _draw(self, component: Tensor, generator: torch.Generator) -> Tensor:
        shape = (len(component), self.latent_dim)
        z = torch.randn(shape, generator=generator, dtype=self.dtype, device=generator.device).to(self.device)
        for rows, loc, scale in self.codes.select(component):
            z[rows] = torch.addcmul(loc, scale, z[rows])
        return z.view(-1, *self.latent_shape)

    @override
    def _rows(self) -> Iterator[tuple[Tensor, Tensor]]:
        step = max(1, ROW_ELEMENTS // self.latent_dim)
        for block in self.codes.blocks():
            for loc, scale in zip(*(part.split(step) for part in block), strict=True):
                yield loc.double(), scale.double().square()

    @override
    def _mean_covariance(self) -> Tensor:
        return self._moments[2].diag()

    @override
    def _within_draws(self, noise: Tensor) -> Tensor:
        return noise * self._moments[2].sqrt()
