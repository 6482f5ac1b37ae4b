r"""Parts of KL(G ‖ p): mean, variances and correlations of the aggregate posterior, each in nats.

For G = N(m, C) with the moments of q_N, v = diag C, R the correlation matrix, and p = N(m₀, diag s²),

    KL(G ‖ p) = ½ Σ_d (m_d − m₀_d)²/s_d²  +  ½ Σ_d (v_d/s_d² − 1 − ln v_d/s_d²)  −  ½ ln det R:

for p = N(0, I) the mean has ½‖m‖², and no part depends on the others. None of them is negative, and that of
the correlations is the total correlation of G. Moments of N images certify nothing of the data's own q_∞; draws of
held-out codes do, for any density r that was not fitted to them:

    E_{q_∞}[log r − log p] ≤ KL(q_∞ ‖ p),    r = N(m, diag s²), N(m₀, diag v), N(m, diag v), N(m, C).

Likewise of KL(q_∞ ‖ G), with G of the training codes: scored on held-out draws, log q_N − log G is in expectation at
most that, and log q_M − log G, with q_M the aggregate of the M held-out images themselves, at least that, since KL is
convex in its first argument.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal

from analysis.aggregate import Aggregate
from analysis.estimate import Estimate
from analysis.moments import normal_moments
from analysis.precision import log_prob_float64


@dataclass(frozen=True, slots=True)
class MomentParts:
    """KL(G ‖ p) in nats, exactly, as the sum of its parts.

    mean: what the mean of G costs.
    variances: what its variances cost.
    correlations: what its correlations cost; refused where the covariance is too large.
    """

    mean: Estimate
    variances: Estimate
    correlations: Estimate


def moment_parts(aggregate: Aggregate, prior: Distribution, gaussian: Distribution | None) -> MomentParts:
    """The parts for the moments of q_N.

    Args:
        aggregate: q_N.
        prior: p over the latent shape, a factorised normal.
        gaussian: G, from :func:`~analysis.moments.moment_matched`; None where its covariance is too large.

    Raises:
        ValueError: if the prior is another, or posteriors have no moments in closed form.
    """
    prior_mean, prior_variance = normal_moments(prior)
    num, variance = aggregate.num_components, aggregate.marginal_variance
    ratio = variance / prior_variance
    mean = ((aggregate.mean - prior_mean).square() / prior_variance).sum() / 2
    variances = (ratio - 1 - ratio.log()).sum() / 2
    if gaussian is None:
        correlations = Estimate.refused(f"a covariance over D = {aggregate.latent_dim} does not fit in memory", num)
    else:
        factorised = Independent(Normal(aggregate.mean, variance.sqrt()), 1)
        correlations = Estimate.exact(float(factorised.entropy() - gaussian.entropy()), num)
    return MomentParts(Estimate.exact(float(mean), num), Estimate.exact(float(variances), num), correlations)


def certified_by_moments(
    aggregate: Aggregate, prior: Distribution, gaussian: Distribution | None, z: Tensor, unit: Tensor
) -> dict[str, Estimate]:
    """Lower ends of KL(q_∞ ‖ p) in nats by normals with moments of q_N: ``mean``, ``variances``, both, and ``moments``.

    Args:
        aggregate: q_N of the training images.
        prior: p over the latent shape, a factorised normal.
        gaussian: G of the training images; None where its covariance is too large, and ``moments`` is refused.
        z: draws ``(M, *latent_shape)`` of posteriors of images that are not components of q_N.
        unit: the image of each, int64 ``(M,)``.

    Raises:
        ValueError: as for :func:`moment_parts`.
    """
    prior_mean, prior_variance = normal_moments(prior)
    own, deviation = aggregate.mean, aggregate.marginal_variance.sqrt()
    moments = {
        "mean": (own, prior_variance.sqrt()),
        "variances": (prior_mean, deviation),
        "mean_variances": (own, deviation),
    }
    normals: dict[str, Distribution] = {name: Independent(Normal(*both), 1) for name, both in moments.items()}
    log_prior, points = log_prob_float64(prior, z), z.flatten(1).to(torch.float64)
    found = {
        name: Estimate.mean(normal.log_prob(points) - log_prior, "lower", groups=unit)
        for name, normal in normals.items()
    }
    if gaussian is None:
        reason = f"a covariance over D = {aggregate.latent_dim} does not fit in memory"
        return found | {"moments": Estimate.refused(reason, aggregate.num_components)}
    return found | {"moments": Estimate.mean(gaussian.log_prob(points) - log_prior, "lower", groups=unit)}


def bracket_beyond_moments(
    gaussian: Distribution, z: Tensor, log_training: Tensor, log_own: Tensor, unit: Tensor
) -> tuple[Estimate, Estimate]:
    """Lower and upper end of KL(q_∞ ‖ G) in nats, G the normal with the moments of the training codes.

    Args:
        gaussian: G.
        z: draws ``(M, *latent_shape)`` of posteriors of held-out images.
        log_training: their log-densities ``(M,)`` under the aggregate of the training images.
        log_own: the same under the aggregate of the held-out images themselves.
        unit: the image of each, int64 ``(M,)``.
    """
    log_gaussian = gaussian.log_prob(z.flatten(1).to(torch.float64))
    return (
        Estimate.mean(log_training - log_gaussian, "lower", groups=unit),
        Estimate.mean(log_own - log_gaussian, "upper", groups=unit),
    )
