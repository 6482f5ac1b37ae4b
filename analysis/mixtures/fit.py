r"""Maximum (penalised) likelihood fit of a Gaussian mixture by EM (Dempster, Laird & Rubin 1977).

Objective, per code: (1/N) [Σₙ ln r(zₙ) + λ ln p(Σ)], where ln p(Σ) = −½ Σₖ [ln|Σₖ| + tr(V Σₖ⁻¹)] and V holds the
codes' variances (Chen & Tan 2009). The prior bounds the likelihood and keeps every Σₖ away from zero without a floor.
**The objective, not the bare likelihood, is what EM climbs and what is asserted never to fall**, within the rounding of
the codes' dtype. λ = ``regularisation`` counts pseudo-codes per component; λ = 0 is maximum likelihood, where a
component that collapses on too few codes is refused.

Refusal. A fit needs ten codes per jointly estimated parameter. The complete-data likelihood of diagonal components is
a product over the D dimensions, and so is that of factor analysers (one regression of each dimension on the factors):
there p/D parameters are estimated together. Where a covariance matrix couples the dimensions (full, tied), all p are.
So N / (p/D) ≥ 10 or N / p ≥ 10. By Wilks' theorem the second bounds the likelihood gained by overfitting, p/N nats per
code, by 0.1 nat, and the first bounds it by 0.1 nat per dimension.

Arithmetic. E- and M-step are matrix products on centred codes in the codes' dtype, streamed in blocks; the
log-likelihood, the expected counts and the moments are accumulated in float64. The caller's matrix-product precision
applies: leave it at true float32 on CUDA (TF32 is too coarse, and the assertion above will say so).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from analysis.mixtures.codes import CentredCodes
from analysis.mixtures.covariances import (
    COVARIANCES,
    ComponentDensities,
    Components,
    CovarianceName,
    MixtureRefused,
    Moments,
)
from analysis.mixtures.mixture import FittedMixture, GaussianMixture
from analysis.mixtures.starts import cluster, one_hot

CODES_PER_PARAMETER = 10
NEGLIGIBLE = -80.0  # ln of a responsibility taken as zero: float32 exp is tens of times slower where it underflows
ROUNDING = 16  # errors of this many units in the last place of the largest terms are no decrease


def fit_gaussian_mixture(
    codes: Tensor,
    num_components: int,
    covariance: CovarianceName = "diagonal",
    *,
    generator: torch.Generator,
    num_starts: int = 3,
    max_iterations: int = 200,
    tolerance: float = 1e-3,
    regularisation: float = 1e-3,
    rank: int | None = None,
) -> FittedMixture:
    """The best of several EM runs, by penalised log-likelihood.

    Args:
        codes: ``(N, D)``, float32 or float64.
        num_components: K.
        covariance: kind of covariance.
        generator: of the starts.
        num_starts: EM runs; one component has one, as all lead to one maximum.
        max_iterations: of a run.
        tolerance: gain in nats per code below which a run stops.
        regularisation: λ, pseudo-codes per component.
        rank: number of factors of a ``low_rank`` covariance, and none for the others.

    Raises:
        ValueError: if an option or the codes are not of these kinds.
        MixtureRefused: if the codes are too few for the parameters, constant in some dimension, or make a covariance
            singular.
        ArithmeticError: if rounding defeats EM.

    >>> generator = torch.Generator().manual_seed(0)
    >>> codes = torch.cat([torch.randn(500, 2, generator=generator) + centre for centre in (-5, 5)])
    >>> mixture = fit_gaussian_mixture(codes, 2, generator=generator)
    >>> mixture.means.sort(0).values.round()
    tensor([[-5., -5.],
            [ 5.,  5.]], dtype=torch.float64)
    >>> mixture.log_prob(codes).shape
    torch.Size([1000])
    """
    kind = _checked_kind(covariance, num_components, rank, codes.shape[-1])
    data = CentredCodes(codes)
    _require_enough_codes(kind, num_components, rank, data)
    runs = [
        expectation_maximisation(
            data,
            _start(data, num_components, kind, rank, regularisation=regularisation, generator=generator),
            max_iterations=max_iterations,
            tolerance=tolerance,
            regularisation=regularisation,
        )
        for _ in range(num_starts if num_components > 1 else 1)
    ]
    return max(runs, key=lambda run: run.trace[-1])


def _checked_kind(covariance: str, num_components: int, rank: int | None, dim: int) -> type[Components]:
    if covariance not in COVARIANCES:
        raise ValueError(f"expected a covariance among {', '.join(COVARIANCES)}, got {covariance!r}")
    kind = COVARIANCES[covariance]
    if num_components < 1:
        raise ValueError(f"expected at least one component, got {num_components}")
    if kind.has_rank and (rank is None or not 1 <= rank < dim):
        raise ValueError(f"expected a rank from 1 to {dim - 1} for {covariance} in {dim} dimensions, got {rank}")
    if rank is not None and not kind.has_rank:
        raise ValueError(f"expected no rank, which {covariance} covariances do not have, got {rank}")
    return kind


def _require_enough_codes(kind: type[Components], num_components: int, rank: int | None, codes: CentredCodes) -> None:
    num_parameters = num_components - 1 + kind.count_parameters(num_components, codes.dim, rank)
    jointly = num_parameters / codes.dim if kind.separable else num_parameters
    if len(codes) < CODES_PER_PARAMETER * jointly:
        raise MixtureRefused(
            f"{len(codes)} codes are {len(codes) / jointly:.2g} per jointly estimated parameter of a {kind.name} "
            f"mixture of {num_components} in {codes.dim} dimensions, which needs {CODES_PER_PARAMETER}: use fewer "
            "components or a simpler covariance"
        )


@torch.no_grad()
def _start(
    codes: CentredCodes,
    num_components: int,
    kind: type[Components],
    rank: int | None,
    *,
    regularisation: float,
    generator: torch.Generator,
) -> GaussianMixture:
    """A mixture in the coordinates of the codes, from a clustering of them."""
    labels, centres = cluster(codes, num_components, generator)
    components = kind.spread(centres, codes.variance, rank, generator)
    uniform = torch.zeros(num_components, dtype=torch.float64, device=centres.device)
    _, counts, moments = _sweep(codes, components.densities(uniform, codes.values.dtype), labels)
    fitted = components.maximise(counts, moments, codes.variance, regularisation)
    return GaussianMixture(counts / counts.sum(), fitted.shifted(codes.centre))


@torch.no_grad()
def expectation_maximisation(
    codes: CentredCodes,
    start: GaussianMixture,
    *,
    max_iterations: int = 200,
    tolerance: float = 1e-3,
    regularisation: float = 1e-3,
) -> FittedMixture:
    """One EM run from ``start``; see :func:`fit_gaussian_mixture`, whose refusals for too few codes are the caller's.

    Args:
        codes: N codes of D dimensions.
        start: a mixture in their coordinates.
        max_iterations: after which the run stops.
        tolerance: nats per code; an iteration that gains less ends the run.
        regularisation: pseudo-codes per component.
    """
    log_weights, components = start.weights.log(), start.components.shifted(-codes.centre)
    trace: list[float] = []
    dtype = codes.values.dtype
    while True:
        densities = components.densities(log_weights, dtype)
        log_likelihood, counts, moments = _sweep(codes, densities)
        penalty = regularisation * float(components.log_prior(codes.variance))
        trace.append((float(log_likelihood) + penalty) / len(codes))
        if not math.isfinite(trace[-1]):
            raise ArithmeticError(f"the log-likelihood overflowed {dtype}: rescale the codes or pass float64")
        gain = trace[-1] - trace[-2] if len(trace) > 1 else math.inf
        if -gain > (rounding := _rounding(densities, codes, log_weights, trace[-1])):
            raise ArithmeticError(
                f"EM lowered the penalised log-likelihood by {-gain:.2g} nats per code, where {dtype} explains "
                f"{rounding:.2g}: use true float32 matrix products, or pass float64 codes"
            )
        if gain < tolerance or len(trace) > max_iterations:
            break
        components = components.maximise(counts, moments, codes.variance, regularisation)
        log_weights = (counts / counts.sum()).log()
    return FittedMixture(
        weights=log_weights.exp(),
        components=components.shifted(codes.centre),
        trace=tuple(trace),
        converged=gain < tolerance,
        num_codes=len(codes),
    )


def _sweep(
    codes: CentredCodes, densities: ComponentDensities, labels: Tensor | None = None
) -> tuple[Tensor, Tensor, Moments]:
    """Log-likelihood, expected counts ``(K,)`` and moments of all codes.

    ``labels`` ``(N,)`` stand for the posterior responsibilities where they are given.
    """
    num_components = len(densities.bias)
    log_likelihood = torch.zeros((), dtype=torch.float64, device=codes.values.device)
    counts = torch.zeros(num_components, dtype=torch.float64, device=codes.values.device)
    moments: Moments = ()
    start = 0
    for block in codes.blocks(densities.width + num_components):
        features = densities.features(block)
        if labels is None:
            log_joint = densities.log_joint(features)
            peak = log_joint.amax(0)
            responsibilities = log_joint.sub_(peak).to(block.dtype).clamp_(min=NEGLIGIBLE).exp_()
            torch.threshold_(responsibilities, 2 * math.exp(NEGLIGIBLE), 0.0)
            total = responsibilities.sum(0)
            responsibilities /= total
            log_likelihood += (peak.to(torch.float64) + total.to(torch.float64).log()).sum()
        else:
            responsibilities = one_hot(labels[start : start + block.shape[1]], num_components, block.dtype)
            start += block.shape[1]
        counts += responsibilities.sum(1)
        increment = densities.moments(features, responsibilities)
        moments = (
            tuple(a.add_(b) for a, b in zip(moments, increment, strict=True))
            if moments
            else tuple(b.to(torch.float64) for b in increment)
        )
    return log_likelihood, counts, moments


def _rounding(densities: ComponentDensities, codes: CentredCodes, log_weights: Tensor, objective: float) -> float:
    """Error in nats per code of the objective in the codes' dtype: that of its largest terms, ‖z‖², ‖μ‖² and ln|Σ|."""
    constants = float((log_weights.exp() * densities.bias.nan_to_num(neginf=0.0).abs()).sum())
    return ROUNDING * torch.finfo(codes.values.dtype).eps * (codes.dim + abs(objective) + 2 * constants)
