r"""Spectrum of the aggregate posterior: how many directions carry its covariance.

The covariance of q_N is exactly Cov(μ) + diag E[σ²]. Codes may be misaligned with the axes: every marginal matches the
prior while a few eigenvalues are large, which neither active units nor norms show. Two summaries of eigenvalues λ:

    effective rank        exp(−Σ πᵢ ln πᵢ),  π = λ/Σλ                                            (Roy & Vetterli 2007)
    participation ratio   (Σλ)²/Σλ²

both 1 for one direction and D for equal eigenvalues. They describe the N components at hand, without sampling error.
"""

from __future__ import annotations

import torch
from scipy.sparse.linalg import eigsh
from torch import Tensor

from analysis.aggregate import MAX_COVARIANCE_DIM, MAX_EIGENVECTOR_DIM, Aggregate
from analysis.estimate import Estimate
from analysis.geometry.distances import flat
from analysis.randomness import stream


def aggregate_spectrum(aggregate: Aggregate) -> Tensor:
    """Eigenvalues ``(D,)`` of the exact covariance of q_N, descending, float64.

    Raises:
        ValueError: above D = 8,192 (:func:`mean_spectrum` rests on the smaller of D and N), or where the posteriors
            have no covariance in closed form.
    """
    return aggregate.eigenvalues()


def furthest_eigenvectors(aggregate: Aggregate, num: int) -> Tensor:
    """Eigenvectors ``(D, num)`` of the exact covariance of q_N whose eigenvalues are furthest from 1 in ratio, float64.

    Beyond the D of which all eigenvectors are to be had, by Lanczos' method where these are the largest.

    Args:
        aggregate: q_N.
        num: how many, the furthest first; at most D.

    Raises:
        ValueError: where D is too large for that, or the posteriors have no covariance in closed form.
    """
    furthest = aggregate.eigenvalues().log().abs().argsort(descending=True)[:num]
    if aggregate.latent_dim <= MAX_EIGENVECTOR_DIM or int(furthest.max()) >= num:
        return aggregate.eigenvectors()[1][:, furthest]
    start = torch.randn(aggregate.latent_dim, generator=stream(0, "start of Lanczos' method"), dtype=torch.float64)
    _, vectors = eigsh(aggregate.covariance().cpu().numpy(), num, which="LA", v0=start.numpy())
    return torch.from_numpy(vectors).to(aggregate.device).flip(1)[:, furthest]


def mean_spectrum(loc: Tensor) -> Tensor:
    """Non-trivial eigenvalues ``(min(D, N),)`` of Cov(μ) over ``loc`` ``(N, *latent)``, descending, float64.

    From the smaller of the D × D covariance and the N × N Gram matrix, which share them. ValueError where both D and N
    exceed 8,192.
    """
    centred = flat(loc) - flat(loc).mean(0)
    smaller = centred if len(centred) <= centred.shape[1] else centred.T
    if len(smaller) > MAX_COVARIANCE_DIM:
        raise ValueError(
            f"expected D or N of at most {MAX_COVARIANCE_DIM}; got D = {centred.shape[1]}, N = {len(centred)}: "
            "subsample the images"
        )
    return torch.linalg.eigvalsh(smaller @ smaller.T / len(centred)).flip(0)


def effective_rank(eigenvalues: Tensor, num_components: int) -> Estimate:
    """Exponential of the entropy of the normalised eigenvalues.

    Args:
        eigenvalues: ``(D,)``, not negative but by rounding.
        num_components: N, the units that the covariance is of.
    """
    if not bool(eigenvalues.sum() > 0):
        return Estimate.refused("all eigenvalues are 0", num_components)
    weights = eigenvalues / eigenvalues.sum()
    return Estimate.exact(float(torch.special.entr(weights.clamp(min=0.0)).sum().exp()), num_components)


def participation_ratio(eigenvalues: Tensor, num_components: int) -> Estimate:
    """(Σλ)²/Σλ².

    Args:
        eigenvalues: λ, ``(D,)``.
        num_components: N, the units that the covariance is of.
    """
    return Estimate.exact(float(eigenvalues.sum().square() / eigenvalues.square().sum()), num_components)
