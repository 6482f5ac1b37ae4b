r"""The aggregate posterior: the mixture of the posteriors of N images.

With posteriors q(z|x_n) = N(μ_n, diag σ²_n) the aggregate posterior (Makhzani et al. 2015, arXiv:1511.05644; Hoffman
and Johnson 2016, "ELBO surgery") and its leave-one-out form (Poole et al. 2019, arXiv:1905.06922) are

    q_N(z) = (1/N) Σ_n N(z; μ_n, diag σ²_n),        q_{−m}(z) = 1/(N−1) Σ_{n≠m} N(z; μ_n, diag σ²_n).

Both are evaluated over all components, never over a minibatch of them: a minibatch stand-in is biased by up to log N.
The moments are exact too: mean μ̄ = (1/N) Σ μ_n and covariance Cov(μ) + diag((1/N) Σ σ²_n).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Self

import torch
from torch import Tensor

from analysis.pairwise import mixture_log_density, normal_log_density

MAX_COVARIANCE_DIM = 8192
ROW_ELEMENTS = 1 << 22


class AggregatePosterior:
    """q_N over N diagonal Gaussian posteriors, held as tensors or streamed as blocks of codes.

    Args:
        loc: means μ, [N, *latent_shape].
        scale: standard deviations σ > 0, same shape, dtype and device.

    Points z have shape [M, *latent_shape] and the dtype and device of the codes; log-densities are float64 [M] in nats,
    without gradient. Components are numbered in the order of the codes. Codes in float32 on the CPU take the compiled
    kernel of :mod:`analysis.pairwise`. Streamed codes have no attributes ``loc`` and ``scale``: take a ``subset``.
    """

    def __init__(self, loc: Tensor, scale: Tensor) -> None:
        if loc.ndim < 2 or loc.shape != scale.shape:
            raise ValueError(
                f"loc and scale must share one shape [N, *latent_shape]; got {list(loc.shape)} and {list(scale.shape)}"
            )
        self.loc, self.scale = loc.detach(), scale.detach()
        self._open(lambda: ((loc, scale),), len(loc))

    @classmethod
    def from_blocks(
        cls,
        blocks: Callable[[], Iterable[tuple[Tensor, Tensor]]],
        num_components: int,
        select: Callable[[Tensor], tuple[Tensor, Tensor]] | None = None,
    ) -> Self:
        """An aggregate whose codes are never all held.

        Args:
            blocks: returns an iterator over (loc, scale) pairs, each [n, *latent_shape], anew at each call and with the
                same codes in the same order. One call serves all points of a method; one more reads the latent shape.
            num_components: N, against which every full pass is checked.
            select: the codes of the components int64 [n] it is given, in their order, where they can be had without a
                pass over all.

        Raises:
            ValueError: here if ``blocks`` yields nothing, later if a pass does not yield N components.
        """
        aggregate = cls.__new__(cls)
        aggregate._open(blocks, num_components, select)
        return aggregate

    def _open(
        self,
        blocks: Callable[[], Iterable[tuple[Tensor, Tensor]]],
        num_components: int,
        select: Callable[[Tensor], tuple[Tensor, Tensor]] | None = None,
    ) -> None:
        loc, _ = next(iter(blocks()), (None, None))
        if loc is None or num_components < 1:
            raise ValueError(
                f"an aggregate needs at least one component; got {num_components} and blocks() yielding none"
            )
        self._source = blocks
        self._random_access = select
        self.num_components = num_components
        self.latent_shape = loc.shape[1:]
        self.latent_dim = math.prod(self.latent_shape)
        self.dtype = loc.dtype
        self.device = loc.device

    def log_prob(self, z: Tensor) -> Tensor:
        """log q_N(z_m), float64 [M]."""
        total, _ = mixture_log_density(self._points(z), self._blocks())
        return total - math.log(self.num_components)

    def log_prob_leave_one_out(self, z: Tensor, own: Tensor) -> Tensor:
        """log q_{−own}(z_m), float64 [M]: the mixture of the other N − 1 components, for own components int64 [M].

        Raises:
            ValueError: if N = 1, which leaves no other component.
        """
        if self.num_components == 1:
            raise ValueError("leaving one out needs N ≥ 2 components; got N = 1: use log_prob")
        return self.log_prob_both(z, own)[1]

    def log_prob_both(self, z: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
        """``log_prob(z)`` and the leave-one-out log-density from one pass; the latter is −inf where N = 1."""
        own = self._indices(own, len(z))
        total, others = mixture_log_density(self._points(z), self._blocks(), own)
        return total - math.log(self.num_components), others - math.log(max(self.num_components - 1, 1))

    def component_log_prob(self, z: Tensor, own: Tensor) -> Tensor:
        """log q(z_m | x_own), float64 [M], for own components int64 [M]."""
        points, own = self._points(z), self._indices(own, len(z))
        logs = torch.empty(len(points), dtype=torch.float64, device=self.device)
        for rows, loc, scale in self._select(own):
            logs[rows] = normal_log_density(points[rows], loc, scale)
        return logs

    def sample(self, num: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """``num`` independent draws: points [num, *latent_shape] and the components they came from, int64 [num]."""
        component = torch.randint(self.num_components, (num,), generator=generator, device=generator.device)
        return self._draw(component.to(self.device), generator)

    def sample_per_image(
        self, draws_per_image: int, generator: torch.Generator, indices: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Stratified draws: ``draws_per_image`` from each component in ``indices`` (default: all N).

        Returns:
            Points [len(indices)·draws_per_image, *latent_shape] and their components, draws of an image adjacent.
        """
        if indices is None:
            indices = torch.arange(self.num_components, device=self.device)
        return self._draw(self._indices(indices, len(indices)).repeat_interleave(draws_per_image), generator)

    def subset(self, indices: Tensor) -> Self:
        """The aggregate of the components ``indices``, int64 [n], in that order and held as tensors."""
        indices = self._indices(indices, len(indices))
        codes = torch.empty(2, len(indices), self.latent_dim, dtype=self.dtype, device=self.device)
        for rows, loc, scale in self._select(indices):
            codes[0, rows], codes[1, rows] = loc, scale
        return type(self)(*codes.view(2, -1, *self.latent_shape))

    @property
    def mean(self) -> Tensor:
        """μ̄, float64 [D], exact."""
        return self._moments[0]

    @property
    def marginal_variance(self) -> Tensor:
        """Var(μ_d) + E σ²_d, float64 [D], exact."""
        return self._moments[1]

    def covariance(self) -> Tensor:
        """Cov(μ) + diag E σ², float64 [D, D], exact.

        Raises:
            ValueError: if D exceeds ``MAX_COVARIANCE_DIM``.
        """
        if self.latent_dim > MAX_COVARIANCE_DIM:
            raise ValueError(
                f"a full covariance is limited to D ≤ {MAX_COVARIANCE_DIM}; got D = {self.latent_dim}, or "
                f"{8e-9 * self.latent_dim**2:.0f} GB: use marginal_variance"
            )
        return self._covariance

    @cached_property
    def _covariance(self) -> Tensor:
        covariance = torch.zeros(self.latent_dim, self.latent_dim, dtype=torch.float64, device=self.device)
        diagonal = covariance.diagonal()
        for loc, scale in self._rows():
            deviation = loc - self.mean
            covariance.addmm_(deviation.T, deviation)
            diagonal += scale.square().sum(0)
        return covariance / self.num_components

    @cached_property
    def _moments(self) -> tuple[Tensor, Tensor]:
        # Deviations merged block by block (Chan, Golub and LeVeque 1983), since E μ² − μ̄² would cancel.
        count = 0
        mean = torch.zeros(self.latent_dim, dtype=torch.float64, device=self.device)
        total = torch.zeros_like(mean)
        for loc, scale in self._rows():
            centre = loc.mean(0)
            step, weight = centre - mean, len(loc) / (count + len(loc))
            total += (loc - centre).square().sum(0) + scale.square().sum(0) + step.square() * count * weight
            mean += step * weight
            count += len(loc)
        return mean, total / count

    def _points(self, z: Tensor) -> Tensor:
        if z.shape[1:] != self.latent_shape or z.dtype != self.dtype or z.device != self.device:
            raise ValueError(
                f"z must be [M, {', '.join(map(str, self.latent_shape))}] in {self.dtype} on {self.device}; "
                f"got {list(z.shape)} in {z.dtype} on {z.device}"
            )
        return z.reshape(len(z), -1)

    def _indices(self, indices: Tensor, num: int) -> Tensor:
        if indices.dtype != torch.int64 or indices.shape != (num,):
            raise ValueError(f"components must be int64 [{num}]; got {indices.dtype} {list(indices.shape)}")
        if num and not 0 <= int(indices.min()) <= int(indices.max()) < self.num_components:
            raise ValueError(
                f"components must lie in 0 … {self.num_components - 1}; got {int(indices.min())} … {int(indices.max())}"
            )
        return indices.to(self.device)

    def _blocks(self) -> Iterator[tuple[Tensor, Tensor]]:
        """One full pass over the codes as [n, D]."""
        count = 0
        for loc, scale in self._source():
            yield loc.detach().reshape(len(loc), -1), scale.detach().reshape(len(scale), -1)
            count += len(loc)
        if count != self.num_components:
            raise ValueError(
                f"blocks() must yield {self.num_components} components at every call; got {count}: "
                "return a fresh iterator over all codes"
            )

    def _rows(self) -> Iterator[tuple[Tensor, Tensor]]:
        """One full pass in float64, few rows at a time."""
        for loc, scale in self._blocks():
            rows = max(1, ROW_ELEMENTS // self.latent_dim)
            for pair in zip(loc.split(rows), scale.split(rows), strict=True):
                yield pair[0].double(), pair[1].double()

    def _select(self, indices: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """The codes at ``indices`` in the order of a pass: (positions in ``indices``, loc, scale)."""
        if self._random_access is not None:
            rows = torch.arange(len(indices), device=self.device)
            for few in rows.split(max(1, ROW_ELEMENTS // self.latent_dim)):
                loc, scale = self._random_access(indices[few])
                yield few, loc.detach().reshape(len(few), -1), scale.detach().reshape(len(few), -1)
            return
        count, last = 0, int(indices.max()) if len(indices) else -1
        for loc, scale in self._blocks():
            rows = ((indices >= count) & (indices < count + len(loc))).nonzero().squeeze(-1)
            yield rows, loc[indices[rows] - count], scale[indices[rows] - count]
            count += len(loc)
            if count > last:
                return

    def _draw(self, component: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        noise = torch.randn(
            len(component), self.latent_dim, generator=generator, dtype=self.dtype, device=generator.device
        ).to(self.device)
        for rows, loc, scale in self._select(component):
            noise[rows] = torch.addcmul(loc, scale, noise[rows])
        return noise.view(-1, *self.latent_shape), component
