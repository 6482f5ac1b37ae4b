r"""Components N(z; μₖ, Σₖ), k = 1…K, of a mixture, and what a kind of covariance owes to EM.

A kind (one file) holds its parameters in float64 and supplies

- ``densities``: ln πₖ + ln N(z; μₖ, Σₖ) in the codes' dtype, as a matrix product of per-code *features* with natural
  parameters; for an exponential family the same features are its sufficient statistics, so that the E-step and the
  M-step are one matrix product each;
- ``maximise``: the parameters that maximise (or, for factor analysis, increase) the expected complete-data
  log-likelihood plus λ ln p(Σ), given responsibility-weighted sums of the features;
- ``log_prior``: ln p(Σ) = −½ Σₖ [ln|Σₖ| + tr(V Σₖ⁻¹)] up to a constant, V = diag of the codes' variances (Chen & Tan
  2009). It counts as λ further codes per component, of covariance V about the component's mean.

Layout: codes and features are stored with the code as the *last* index, ``(D, m)`` and ``(F, m)``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import ClassVar, Self

import torch
from torch import Tensor

Moments = tuple[Tensor, ...]

LONGEST_SUM = 1024  # a float32 sum of more terms is continued in float64


class MixtureRefused(ValueError):
    """The codes cannot support the mixture asked for; the message is the reason, in one sentence."""


class ComponentDensities(ABC):
    """ln πₖ + ln N(z; μₖ, Σₖ) with the natural parameters cast to one dtype.

    width: features F of a code.
    bias: the part that does not depend on the code, float64 ``(K,)`` in nats.
    """

    width: int
    bias: Tensor

    @abstractmethod
    def features(self, codes: Tensor) -> Tensor:
        """Features ``(F, m)`` of codes ``(D, m)``."""

    @abstractmethod
    def log_joint(self, features: Tensor) -> Tensor:
        """Log-density ``(K, m)`` in nats of each component with its weight."""

    @abstractmethod
    def moments(self, features: Tensor, responsibilities: Tensor) -> Moments:
        """Sums over codes of weighted features; those of separate blocks add up.

        Args:
            features: ``(F, m)``.
            responsibilities: weights, ``(K, m)``.
        """


@dataclass(frozen=True, eq=False)
class Components(ABC):
    """K Gaussians of one kind of covariance; every parameter is float64.

    means: ``(K, D)``.
    name: of the kind.
    separable: whether the complete-data likelihood is a product over the dimensions.
    has_rank: whether the kind has a number of factors.
    """

    means: Tensor

    name: ClassVar[str]
    separable: ClassVar[bool]  # is the complete-data likelihood a product over the dimensions?
    has_rank: ClassVar[bool] = False

    @staticmethod
    @abstractmethod
    def count_parameters(num_components: int, dim: int, rank: int | None) -> int:
        """Free parameters of means and covariances.

        Args:
            num_components: K.
            dim: D.
            rank: number of factors, for kinds that have one.
        """

    @classmethod
    @abstractmethod
    def spread(cls, means: Tensor, variance: Tensor, rank: int | None, generator: torch.Generator) -> Self:
        """Components about given means: where a start begins.

        Args:
            means: ``(K, D)``.
            variance: ``(D,)``, about that of each component along each dimension.
            rank: number of factors, for kinds that have one.
            generator: of directions, for kinds that need them.
        """

    @abstractmethod
    def densities(self, log_weights: Tensor, dtype: torch.dtype) -> ComponentDensities:
        """Weighted log-density of the components.

        Args:
            log_weights: ln πₖ, ``(K,)``.
            dtype: in which it is evaluated.
        """

    @abstractmethod
    def maximise(self, counts: Tensor, moments: Moments, variance: Tensor, regularisation: float) -> Self:
        """M-step.

        Args:
            counts: expected counts, float64 ``(K,)``.
            moments: sums of weighted features, float64.
            variance: V of the prior, ``(D,)``.
            regularisation: λ.
        """

    @abstractmethod
    def log_prior(self, variance: Tensor) -> Tensor:
        """Log-prior of the covariances, up to a constant, for one pseudo-code of variance ``variance`` ``(D,)``."""

    @abstractmethod
    def deviations(self, component: int, num: int, generator: torch.Generator) -> Tensor:
        """Draws ``(num, D)`` of N(0, Σₖ).

        Args:
            component: k.
            num: number of draws.
            generator: the whole of the randomness.
        """

    @abstractmethod
    def spreads(self) -> dict[str, Tensor]:
        """The covariances, float64: ``scale`` ``(K, D)``, or ``scale_tril`` ``(K, D, D)``, or ``diagonal`` ``(K, D)``
        with ``factor`` ``(K, D, R)``."""

    @property
    def rank(self) -> int | None:
        """Rank of the covariances less their diagonal, for kinds that have one."""
        return None

    @property
    def num_parameters(self) -> int:
        """Free parameters of means and covariances."""
        num_components, dim = self.means.shape
        return self.count_parameters(num_components, dim, self.rank)

    def shifted(self, offset: Tensor) -> Self:
        """The same components about means moved by ``offset`` ``(D,)``."""
        return replace(self, means=self.means + offset)

    def to(self, device: torch.device | str) -> Self:
        """The same components on ``device``."""
        return replace(self, **{field.name: getattr(self, field.name).to(device) for field in fields(self)})


def matmul(bias: Tensor, weights: Tensor, features: Tensor) -> Tensor:
    """``bias`` + ``weights`` @ ``features``; past ``LONGEST_SUM`` terms accumulated in float64.

    Args:
        bias: ``(K,)``.
        weights: ``(K, F)``.
        features: ``(F, m)``.
    """
    if len(features) <= LONGEST_SUM:
        return torch.addmm(bias.to(features.dtype)[:, None], weights, features)
    total = bias[:, None].expand(-1, features.shape[1]).clone()
    for some_weights, some_features in zip(weights.split(LONGEST_SUM, dim=1), features.split(LONGEST_SUM), strict=True):
        total += some_weights @ some_features
    return total


def weighted_means(counts: Tensor, sums: Tensor) -> Tensor:
    """Sums over counts; zero, the codes' own mean, for a component that holds no code.

    Args:
        counts: ``(K,)``.
        sums: ``(K, …)``.
    """
    return sums / counts.clamp_min(torch.finfo(counts.dtype).tiny).reshape(-1, *[1] * (sums.ndim - 1))


def shrink(counts: Tensor, covariances: Tensor, prior: Tensor, regularisation: float) -> Tensor:
    """(Nₖ Sₖ + λV) / (Nₖ + λ), the posterior mode of Σₖ under λ pseudo-codes of covariance V.

    Args:
        counts: Nₖ, ``(K,)``.
        covariances: Sₖ, ``(K, …)``.
        prior: V, that broadcasts with them.
        regularisation: λ.
    """
    counts = counts.reshape(-1, *[1] * (covariances.ndim - 1))
    return (counts * covariances + regularisation * prior) / (counts + regularisation)


def standard_normal(num: int, dim: int, like: Tensor, generator: torch.Generator) -> Tensor:
    """Draws ``(num, dim)`` of N(0, I).

    Args:
        num: number of draws.
        dim: number of dimensions.
        like: tensor of the dtype and device that they get.
        generator: the whole of the randomness.
    """
    return torch.randn(num, dim, generator=generator, dtype=like.dtype, device=generator.device).to(like.device)


def require_positive(variances: Tensor) -> None:
    """Refuse variances that are zero, negative by rounding, or not a number."""
    if not bool((variances > 0).all()):
        raise MixtureRefused(_SINGULAR)


def cholesky(covariances: Tensor) -> Tensor:
    """Lower Cholesky factors of covariances ``(..., D, D)``; refuses singular ones."""
    factors, info = torch.linalg.cholesky_ex(covariances)
    if bool(info.any()) or not bool(factors.isfinite().all()):
        raise MixtureRefused(_SINGULAR)
    return factors


def half_log_determinants(scale_tril: Tensor) -> Tensor:
    """½ ln|Σ| of each covariance from lower Cholesky factors ``(..., D, D)``."""
    return scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)


_SINGULAR = (
    "a component's covariance became singular, because it holds too few distinct codes for its kind or because the "
    "codes' dtype cannot resolve it: use fewer components, a larger regularisation or float64 codes"
)
