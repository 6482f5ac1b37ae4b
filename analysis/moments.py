r"""Moment-matched Gaussian: how much of KL(q ‖ p) is second-order.

For G the Gaussian with the mean and covariance of q, and p Gaussian, log G and log p are quadratic, so E_q and E_G
agree on them and

    KL(q ‖ p) = KL(q ‖ G) + KL(G ‖ p)

exactly: KL(G ‖ p) is what moments alone show, KL(q ‖ G) the non-Gaussianity. The same holds for diagonal G where p is
factorised. The moments of the mixture q_N are exact, mean μ̄ and covariance Cov(μ) + diag E[σ²]: a covariance
estimated from n draws would inflate KL(G ‖ p) by about D(D + 1)/4n nats. With KL(G ‖ p) in closed form, only
log q − log G is averaged, which makes G a control variate for KL(q ‖ p).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, LowRankMultivariateNormal, MultivariateNormal, Normal

from analysis.aggregate import MAX_COVARIANCE_DIM, Aggregate
from analysis.draws import ComponentDraws
from analysis.estimate import Estimate
from analysis.precision import log_prob_float64, to_float64

DENSE_RATIO = 1.5
"""D/N up to which the covariance is kept as a matrix, which other estimates share, though one of rank N is smaller."""

MAX_FACTOR_ELEMENTS = 2**28  # a float64 array of centred means of 2 GiB


class FactorNormal(LowRankMultivariateNormal):
    """LowRankMultivariateNormal whose log_prob takes one matrix product for all draws ``(M, D)``, not one per draw."""

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density ``(M,)`` in nats."""
        deviation = value - self.loc
        scaled = deviation / self.cov_diag
        whitened = torch.linalg.solve_triangular(self._capacitance_tril, (scaled @ self.cov_factor).T, upper=False)
        mahalanobis = (deviation * scaled).sum(-1) - whitened.square().sum(0)
        return (value.shape[-1] - mahalanobis) / 2 - self.entropy()


@dataclass(frozen=True, slots=True)
class MomentSplit:
    """KL(q_N ‖ p) in nats as two parts.

    gaussian_kl: the exact KL(G ‖ p) of its moments.
    residual_kl: KL(q_N ‖ G).
    """

    gaussian_kl: Estimate
    residual_kl: Estimate

    @property
    def total(self) -> Estimate:
        """KL(q_N ‖ p), with the error of the residual."""
        return replace(self.residual_kl, value=self.gaussian_kl.value + self.residual_kl.value)


def moment_split(
    aggregate: Aggregate, prior: Distribution, z: Tensor, draws: ComponentDraws, diagonal: bool = False
) -> MomentSplit:
    """Split of KL(q_N ‖ p) into what moments show and the rest; refused where the covariance does not fit in memory.

    Args:
        aggregate: q_N.
        prior: p over the latent shape, a factorised normal.
        z: draws of q_N, ``(M, *latent_shape)``.
        draws: their densities, in nats.
        diagonal: whether correlations are ignored; the full covariance needs D or N of at most 8,192.

    Raises:
        ValueError: if the prior is not a factorised normal, or posteriors have no moments in closed form.

    >>> from analysis.aggregate import DiagonalAggregate, InMemoryCodes
    >>> from analysis.draws import evaluate_component_draws
    >>> generator = torch.Generator().manual_seed(0)
    >>> aggregate = DiagonalAggregate(InMemoryCodes(torch.randn(50, 2, generator=generator), torch.full((50, 2), 0.5)))
    >>> prior = Independent(Normal(torch.zeros(2), torch.ones(2)), 1)
    >>> z, component = aggregate.sample(1000, generator)
    >>> split = moment_split(aggregate, prior, z, evaluate_component_draws(aggregate, prior, z, component))
    >>> split.gaussian_kl.value > 0, split.gaussian_kl.bound
    (True, 'exact')
    """
    prior_mean, prior_variance = normal_moments(prior)
    gaussian = moment_matched(aggregate, diagonal)
    if gaussian is None:
        dim, num = aggregate.latent_dim, aggregate.num_components
        refusal = Estimate.refused(f"a covariance over D = {dim} from N = {num} components does not fit in memory", num)
        return MomentSplit(refusal, refusal)
    mahalanobis = (aggregate.marginal_variance + (aggregate.mean - prior_mean).square()) / prior_variance
    cross_entropy = (mahalanobis + (2 * math.pi * prior_variance).log()).sum() / 2
    residual = draws.log_aggregate - log_prob_float64(gaussian, z.flatten(1))
    return MomentSplit(
        gaussian_kl=Estimate.exact(float(cross_entropy - gaussian.entropy()), aggregate.num_components),
        residual_kl=Estimate.mean(residual, groups=draws.unit),
    )


def moment_matched(aggregate: Aggregate, diagonal: bool = False) -> Distribution | None:
    """Gaussian over the D flattened dimensions (float64) with the exact moments of q_N, or None where too large.

    Args:
        aggregate: q_N. Where it has far fewer components than dimensions its covariance is kept as diagonal plus rank
            N, for which the posteriors must be diagonal normals.
        diagonal: whether correlations are ignored.

    Raises:
        ValueError: if the posteriors are not of that kind, or have no moments in closed form.
    """
    dim, num = aggregate.latent_dim, aggregate.num_components
    if diagonal:
        return Independent(Normal(aggregate.mean, aggregate.marginal_variance.sqrt()), 1)
    if dim <= min(DENSE_RATIO * num, MAX_COVARIANCE_DIM):
        return MultivariateNormal(aggregate.mean, scale_tril=aggregate.covariance_root(), validate_args=False)
    if num <= MAX_COVARIANCE_DIM and num * dim <= MAX_FACTOR_ELEMENTS:
        codes = aggregate.bubbles()
        centred = codes.loc.flatten(1).to(torch.float64) - aggregate.mean
        within = codes.scale.flatten(1).to(torch.float64).square().mean(0)
        return FactorNormal(aggregate.mean, centred.T / math.sqrt(num), within)
    return None


def normal_moments(prior: Distribution) -> tuple[Tensor, Tensor]:
    """Mean and variances ``(D,)`` of a factorised normal ``prior``, float64; ValueError where it is another."""
    if not isinstance(prior, Independent) or not isinstance(prior.base_dist, Normal) or prior.batch_shape:
        raise ValueError(
            f"expected a factorised normal prior, Independent over Normal; got {prior}: "
            "moments decompose KL(q ‖ p) only for a Gaussian p"
        )
    normal = to_float64(prior)
    return normal.mean.flatten(), normal.variance.flatten()
