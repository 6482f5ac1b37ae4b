r"""Divergences between two densities q and p that can both be evaluated: functions of the log-ratio t = ln q − ln p.

    KL(q‖p) = E_q[t],                                   KL(p‖q) = −E_p[t]
    TV      = ½ E_q[(1 − e⁻ᵗ)₊] + ½ E_p[(1 − eᵗ)₊]
    JS      = ½ E_q[ln 2 − ln(1 + e⁻ᵗ)] + ½ E_p[ln 2 − ln(1 + eᵗ)]
    BC      = ∫√(qp) = ½ E_q[sech(t/2)] + ½ E_p[sech(t/2)],          H² = 1 − BC
    AUC     = P(t(z) > t(z′)) + ½ P(t(z) = t(z′)),  z ~ q, z′ ~ p

All are in nats or in [0, 1] and unbiased; the two sides come from independent draws. TV and BC use draws from both
sides because their integrands are then bounded: the textbook E_q[√(p/q)] has variance 1 − BC², whatever the overlap,
while sech(t/2) has at most BC(1 − BC). The AUC of t is that of the most powerful test (Neyman & Pearson 1933); its
standard error is DeLong's (DeLong et al. 1988), clustered by unit (Obuchowski 1997).

Reliability. A probability that none of n units shows has standard error 0 and an upper 95 % limit of 3/n, so TV,
JS/ln 2, 1 − BC and AUC that come within 3/n of 1 (AUC: of 0, too) are flagged ``saturated``. A BC carried by fewer
than ten effective draws, (Σw)²/Σw² with w = sech(t/2), is flagged ``unreliable``.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import softplus

from analysis.draws import DrawDensities
from analysis.estimate import Estimate

MIN_EFFECTIVE_DRAWS = 10.0
RULE_OF_THREE = 3.0  # −ln 0.05: zero events among n leave at most 3/n at 95 %
SATURATED = "saturated"


def kl_aggregate_to_prior(from_aggregate: DrawDensities) -> Estimate:
    """KL(q ‖ p) in nats from draws of q."""
    return Estimate.mean(from_aggregate.log_ratio, groups=from_aggregate.unit)


def kl_prior_to_aggregate(from_prior: DrawDensities) -> Estimate:
    """KL(p ‖ q) in nats from draws of p."""
    return Estimate.mean(-from_prior.log_ratio, groups=from_prior.unit)


def total_variation(from_aggregate: DrawDensities, from_prior: DrawDensities) -> Estimate:
    """Total variation distance ½∫|q − p| in [0, 1].

    Args:
        from_aggregate: densities of draws of q.
        from_prior: densities of draws of p, independent of them.
    """
    distance = _two_sided(lambda t: -torch.expm1(t.clamp(max=0.0)), from_aggregate, from_prior)
    return _flag_saturation(distance, 1 - distance.value)


def jensen_shannon(from_aggregate: DrawDensities, from_prior: DrawDensities) -> Estimate:
    """Jensen–Shannon divergence in nats, at most ln 2.

    Args:
        from_aggregate: densities of draws of q.
        from_prior: densities of draws of p, independent of them.
    """
    divergence = _two_sided(lambda t: math.log(2) - softplus(t), from_aggregate, from_prior)
    return _flag_saturation(divergence, 1 - divergence.value / math.log(2))


def bhattacharyya_coefficient(from_aggregate: DrawDensities, from_prior: DrawDensities) -> Estimate:
    """Bhattacharyya coefficient ∫√(qp) in [0, 1]; see the module docstring for its two reliability flags.

    Args:
        from_aggregate: densities of draws of q.
        from_prior: densities of draws of p, independent of them.
    """
    coefficient = _two_sided(lambda t: _log_sech(t / 2).exp(), from_aggregate, from_prior)
    log_weights = _log_sech(torch.cat([from_aggregate.log_ratio, from_prior.log_ratio]) / 2)
    log_effective_draws = 2 * log_weights.logsumexp(0) - (2 * log_weights).logsumexp(0)
    if log_effective_draws < math.log(MIN_EFFECTIVE_DRAWS):
        coefficient = coefficient.flagged("unreliable: fewer than ten effective draws carry the overlap")
    return _flag_saturation(coefficient, coefficient.value)


def log_ratio_auc(from_aggregate: DrawDensities, from_prior: DrawDensities) -> Estimate:
    """Probability that a draw of q has the higher log-ratio: ½ where q = p, 1 where they are disjoint.

    Args:
        from_aggregate: densities of draws of q.
        from_prior: densities of draws of p, independent of them.
    """
    return area_under_curve(from_aggregate.log_ratio, from_prior.log_ratio, from_aggregate.unit, from_prior.unit)


def area_under_curve(
    positive: Tensor, negative: Tensor, positive_units: Tensor | None = None, negative_units: Tensor | None = None
) -> Estimate:
    """Mann–Whitney P(positive > negative) + ½ P(equal), with DeLong's standard error.

    Each side's placement values (the fraction of the other side that a score beats) are grouped by its units.

    Args:
        positive: scores of one population, ``(M,)``.
        negative: scores of the other, ``(K,)``.
        positive_units: integer label ``(M,)`` of the independent unit of each positive score; by default each is one.
        negative_units: the same of the negative scores, ``(K,)``.

    >>> scores = torch.arange(100.0)
    >>> area_under_curve(scores + 50, scores).value
    0.875
    """
    without = sum(int(scores.isnan().sum()) for scores in (positive, negative))
    if without:
        num = len(positive) + len(negative)
        return Estimate.refused(f"{without} of {num} scores are no numbers", num)
    wins = Estimate.mean(_fraction_below(positive, negative), groups=positive_units)
    losses = Estimate.mean(_fraction_below(negative, positive), groups=negative_units)
    area = Estimate(
        wins.value,
        math.hypot(wins.standard_error, losses.standard_error),
        min(wins.n, losses.n),
        wins.num_draws + losses.num_draws,
    )
    return _flag_saturation(area, min(area.value, 1 - area.value))


def certified_gap(log_candidate: Tensor, log_prior: Tensor, units: Tensor | None = None) -> Estimate:
    """E_q[log r − log p] ≤ KL(q ‖ p) in nats, at draws of q.

    A lower bound for any density r fitted without the draws at hand, and the ELBO gained by putting r in the place of
    the prior with encoder and decoder frozen.

    Args:
        log_candidate: log r, float64 ``(M,)`` in nats.
        log_prior: log p of the same draws, float64 ``(M,)`` in nats.
        units: integer label ``(M,)`` of the image of each draw; by default each draw is a unit.
    """
    return Estimate.mean(log_candidate - log_prior, "lower", groups=units)


def _two_sided(
    integrand: Callable[[Tensor], Tensor], from_aggregate: DrawDensities, from_prior: DrawDensities
) -> Estimate:
    """Average of E_q[f(−t)] and E_p[f(t)]: f of the log-ratio of the other density to the one drawn from."""
    left = Estimate.mean(integrand(-from_aggregate.log_ratio), groups=from_aggregate.unit)
    right = Estimate.mean(integrand(from_prior.log_ratio), groups=from_prior.unit)
    return Estimate(
        (left.value + right.value) / 2,
        math.hypot(left.standard_error, right.standard_error) / 2,
        min(left.n, right.n),
        left.num_draws + right.num_draws,
    )


def _log_sech(x: Tensor) -> Tensor:
    return math.log(2) - x.abs() - torch.log1p(torch.exp(-2 * x.abs()))


def _flag_saturation(estimate: Estimate, remainder: float) -> Estimate:
    return estimate.flagged(SATURATED) if remainder < RULE_OF_THREE / estimate.n else estimate


def _fraction_below(scores: Tensor, reference: Tensor) -> Tensor:
    ordered = reference.sort().values
    below, not_above = (torch.searchsorted(ordered, scores.contiguous(), right=right) for right in (False, True))
    return (below + not_above).to(torch.float64) / (2 * len(reference))
