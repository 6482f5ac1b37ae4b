r"""Aggregate: the mixture q_N of the posteriors of N images, whatever their kind.

The aggregate posterior (Makhzani et al. 2015, arXiv:1511.05644; Hoffman & Johnson 2016, ELBO surgery) and its
leave-one-out form (Poole et al. 2019, arXiv:1905.06922) are

    q_N(z) = (1/N) Σₙ q(z|xₙ),        q₋ₘ(z) = 1/(N−1) Σ_{n≠m} q(z|xₙ).

Both are evaluated over all components, never over a minibatch of them: a minibatch stand-in is biased by up to log N.
The moments are exact too: mean μ̄ = (1/N) Σ μₙ and covariance Cov(μ) + (1/N) Σ Cov q(z|xₙ).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from typing import ClassVar, Self

import torch
from torch import Tensor

from analysis.aggregate.codes import InMemoryCodes

MAX_COVARIANCE_DIM = 8192
"""Largest D of a covariance ``(D, D)``: 512 MiB in float64."""

MAX_EIGENVECTOR_DIM = 2048
"""Largest D of which all eigenvectors are computed: two seconds on one core, and eight times that at twice the D."""


COLUMNS = 512  # of a covariance that are summed at a time


class Aggregate(ABC):
    """q_N over N posteriors, its components, numbered in the order of their images.

    Points z are ``(M, *latent_shape)`` in the dtype and on the device of the codes. Log-densities are float64 ``(M,)``
    in nats, without gradient. Moments are float64 over the D = ``latent_dim`` flattened dimensions.

    Args:
        num_components: N, at least 1.
        latent_shape: shape of one latent.
        dtype: of points and draws.
        device: of points, draws and results.
    """

    is_diagonal: ClassVar[bool] = False
    """Whether every component is a normal with diagonal covariance, so that :meth:`bubbles` has the whole of it."""

    def __init__(self, num_components: int, latent_shape: torch.Size, dtype: torch.dtype, device: torch.device) -> None:
        self.num_components = num_components
        self.latent_shape = latent_shape
        self.latent_dim = math.prod(latent_shape)
        self.dtype = dtype
        self.device = device

    def log_prob(self, z: Tensor) -> Tensor:
        """log q_N(z), ``(M,)``, of points ``z`` ``(M, *latent_shape)``.

        Raises:
            ValueError: if the points have another shape, dtype or device than the codes.
        """
        return self._log_sums(self._points(z), None)[0] - math.log(self.num_components)

    def log_prob_both(self, z: Tensor, component: Tensor) -> tuple[Tensor, Tensor]:
        """log q_N(z) and log q₋ₘ(z), ``(M,)`` each, from one pass over the components.

        Args:
            z: points ``(M, *latent_shape)``.
            component: int64 ``(M,)``, for each point the component m that the second density leaves out. With N = 1
                nothing is left, and that density is −∞.

        Raises:
            ValueError: if points or components do not fit.
        """
        total, others = self._log_sums(self._points(z), self._indices(component, len(z)))
        return total - math.log(self.num_components), others - math.log(max(self.num_components - 1, 1))

    def component_log_prob(self, z: Tensor, component: Tensor) -> Tensor:
        """log q(z|xₘ), ``(M,)``, of points ``z`` ``(M, *latent_shape)`` under the component m of each, int64 ``(M,)``.

        Raises:
            ValueError: if points or components do not fit.
        """
        return self._component_logs(self._points(z), self._indices(component, len(z)))

    def log_prob_each(self, z: Tensor) -> Tensor:
        """log q(z|xₙ), ``(M, N)``, of points ``z`` ``(M, *latent_shape)`` under every component.

        Raises:
            ValueError: if the points have another shape, dtype or device than the codes.
        """
        return self._logs_each(self._points(z))

    def sample(self, num: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """``num`` independent draws ``(num, *latent_shape)`` and the components they came from, int64 ``(num,)``.

        Args:
            num: number of draws.
            generator: the whole of the randomness.
        """
        component = torch.randint(self.num_components, (num,), generator=generator, device=generator.device)
        component = component.to(self.device)
        return self._draw(component, generator), component

    def sample_per_image(
        self, draws_per_image: int, generator: torch.Generator, indices: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Stratified draws: the same number from each of the chosen components.

        Args:
            draws_per_image: draws k from each component.
            generator: the whole of the randomness.
            indices: int64 ``(n,)``, the components in the order of the draws; default: all N.

        Returns:
            Points ``(n·k, *latent_shape)`` and their components int64 ``(n·k,)``, draws of an image adjacent.

        Raises:
            ValueError: if the components do not fit.
        """
        if indices is None:
            indices = torch.arange(self.num_components, device=self.device)
        component = self._indices(indices, len(indices)).repeat_interleave(draws_per_image)
        return self._draw(component, generator), component

    def subset(self, indices: Tensor) -> Self:
        """The aggregate of the components ``indices``, int64 ``(n,)``, in that order; codes of normals are in memory.

        Raises:
            ValueError: if the components do not fit.
        """
        return self._subset(self._indices(indices, len(indices)))

    def bubbles(self) -> InMemoryCodes:
        """The components as the normals N(μₙ, diag σ²ₙ) that they are; codes that are streamed are encoded now.

        Raises:
            ValueError: unless :attr:`is_diagonal`.
        """
        raise ValueError(NOT_DIAGONAL)

    @abstractmethod
    def component_moments(self) -> InMemoryCodes:
        """Mean and marginal standard deviations of every component, whatever its kind; streamed codes are encoded now.

        Where a posterior has neither in closed form they are those of a few draws.
        """

    def centred_normal_draws(self, noise: Tensor, generator: torch.Generator) -> Tensor:
        """Draws ``(M, D)`` of N(0, C), C the covariance, whatever D: z = L ε with L its root, or, where N < D,

            z = Σₙ ηₙ (μₙ − μ̄)/√N + W^½ ε,        η ~ N(0, I_N),    W = E Cov q(z|x),    Cov(μ) + W = C.

        Args:
            noise: ε ~ N(0, I), ``(M, D)``, which other draws may share.
            generator: of η.

        Raises:
            ValueError: as for :attr:`mean`.
        """
        if self.latent_dim <= min(self.num_components, MAX_COVARIANCE_DIM):
            with suppress(torch.linalg.LinAlgError):  # of codes that do not spread in every direction
                return noise.double() @ self.covariance_root().T
        mean, draws = self.mean, self._within_draws(noise.double())
        for loc, _ in self._rows():
            shape = len(noise), len(loc)
            weights = torch.randn(shape, generator=generator, device=generator.device, dtype=torch.float64)
            draws.addmm_(weights.to(self.device), loc - mean, alpha=self.num_components**-0.5)
        return draws

    @property
    def mean(self) -> Tensor:
        """μ̄, ``(D,)``, exact.

        Raises:
            ValueError: where a component has no moments in closed form; so for the variance and the covariance.
        """
        return self._moments[0]

    @property
    def marginal_variance(self) -> Tensor:
        """Var(μ_d) + E Var q(z_d|x), ``(D,)``, exact."""
        return self._moments[1] + self._moments[2]

    def covariance(self) -> Tensor:
        """Cov(μ) + E Cov q(z|x), ``(D, D)``, exact.

        Raises:
            ValueError: also if D exceeds ``MAX_COVARIANCE_DIM``.
        """
        return self._lower_covariance + self._lower_covariance.tril(-1).T

    def covariance_root(self) -> Tensor:
        """The lower triangular L ``(D, D)`` with LLᵀ the covariance.

        Raises ValueError as :meth:`covariance` does.
        """
        return self._covariance_root

    def eigenvalues(self) -> Tensor:
        """Eigenvalues ``(D,)`` of the covariance, descending: a quarter of the time that eigenvectors take.

        Raises ValueError as :meth:`covariance` does.
        """
        return self._eigenvalues

    def eigenvectors(self) -> tuple[Tensor, Tensor]:
        """Eigenvalues ``(D,)`` of the covariance, descending, and its eigenvectors ``(D, D)``, one a column.

        Raises:
            ValueError: also if D exceeds ``MAX_EIGENVECTOR_DIM``.
        """
        if self.latent_dim > MAX_EIGENVECTOR_DIM:
            raise ValueError(f"eigenvectors are limited to D ≤ {MAX_EIGENVECTOR_DIM}; got D = {self.latent_dim}")
        return self._eigenvectors

    @cached_property
    def _covariance_root(self) -> Tensor:
        return torch.linalg.cholesky(self._lower_covariance)  # as of a symmetric matrix: nothing above is read

    @cached_property
    def _eigenvalues(self) -> Tensor:
        known = self.__dict__.get("_eigenvectors")
        return known[0] if known else torch.linalg.eigvalsh(self._lower_covariance).flip(0)

    @cached_property
    def _eigenvectors(self) -> tuple[Tensor, Tensor]:
        values, vectors = torch.linalg.eigh(self._lower_covariance)
        return values.flip(0), vectors.flip(1)

    @cached_property
    def _lower_covariance(self) -> Tensor:
        """The covariance on and below the diagonal, and zeros above."""
        if self.latent_dim > MAX_COVARIANCE_DIM:
            raise ValueError(
                f"a full covariance is limited to D ≤ {MAX_COVARIANCE_DIM}; got D = {self.latent_dim}, or "
                f"{8e-9 * self.latent_dim**2:.0f} GB: use marginal_variance"
            )
        mean = self.mean
        covariance = self.num_components * self._mean_covariance()
        for loc, _ in self._rows():
            deviation = loc - mean
            for first in range(0, self.latent_dim, COLUMNS):  # on and below the diagonal: half of the products
                columns = slice(first, first + COLUMNS)
                covariance[first:, columns].addmm_(deviation[:, first:].T, deviation[:, columns])
        return covariance.tril_().div_(self.num_components)

    @cached_property
    def _moments(self) -> tuple[Tensor, Tensor, Tensor]:
        """Mean, variance of the means and mean of the variances, ``(D,)`` each."""
        # Deviations merged block by block (Chan, Golub and LeVeque 1983), since E μ² − μ̄² would cancel.
        count = 0
        mean, between, within = torch.zeros(3, self.latent_dim, dtype=torch.float64, device=self.device)
        for loc, variance in self._rows():
            centre = loc.mean(0)
            step, weight = centre - mean, len(loc) / (count + len(loc))
            between += (loc - centre).square().sum(0) + step.square() * count * weight
            within += variance.sum(0)
            mean += step * weight
            count += len(loc)
        return mean, between / count, within / count

    def _points(self, z: Tensor) -> Tensor:
        if z.shape[1:] != self.latent_shape or z.dtype != self.dtype or z.device != self.device:
            raise ValueError(
                f"z must be (M, {', '.join(map(str, self.latent_shape))}) in {self.dtype} on {self.device}; "
                f"got {tuple(z.shape)} in {z.dtype} on {z.device}"
            )
        return z.detach()

    def _indices(self, indices: Tensor, num: int) -> Tensor:
        if indices.dtype != torch.int64 or indices.shape != (num,):
            raise ValueError(f"components must be int64 ({num},); got {indices.dtype} {tuple(indices.shape)}")
        if num and not 0 <= int(indices.min()) <= int(indices.max()) < self.num_components:
            raise ValueError(
                f"components must lie in 0 … {self.num_components - 1}; got {int(indices.min())} … {int(indices.max())}"
            )
        return indices.to(self.device)

    @abstractmethod
    def _log_sums(self, points: Tensor, exclude: Tensor | None) -> tuple[Tensor, Tensor]:
        """log Σₙ q(z|xₙ) ``(M,)`` at points ``(M, *latent_shape)``, over all n and over all but ``exclude`` ``(M,)``.

        Without ``exclude`` the second is not used.
        """

    @abstractmethod
    def _logs_each(self, points: Tensor) -> Tensor:
        """log q(z|xₙ) ``(M, N)`` at points ``(M, *latent_shape)``."""

    @abstractmethod
    def _component_logs(self, points: Tensor, component: Tensor) -> Tensor:
        """log q(z|xₘ) ``(M,)`` at points ``(M, *latent_shape)``, m in ``component`` ``(M,)``."""

    @abstractmethod
    def _draw(self, component: Tensor, generator: torch.Generator) -> Tensor:
        """One draw ``(M, *latent_shape)`` of each component in ``component`` ``(M,)``."""

    @abstractmethod
    def _rows(self) -> Iterator[tuple[Tensor, Tensor]]:
        """One pass in order: means and marginal variances of n components at a time, ``(n, D)`` each, float64."""

    @abstractmethod
    def _mean_covariance(self) -> Tensor:
        """(1/N) Σ Cov q(z|xₙ), ``(D, D)`` float64."""

    def _within_draws(self, noise: Tensor) -> Tensor:
        """Draws ``(M, D)`` of the normal with that covariance and no mean, of standard normal ``noise`` ``(M, D)``."""
        return noise @ torch.linalg.cholesky(self._mean_covariance()).T

    @abstractmethod
    def _subset(self, indices: Tensor) -> Self:
        """The aggregate of the components ``indices`` ``(n,)``, which are in range."""


NOT_DIAGONAL = "defined for diagonal normal posteriors"
"""Why a quantity of normal bubbles is refused for posteriors of another kind."""
