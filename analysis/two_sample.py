r"""Two-sample distances: comparisons of q and p from samples alone, where a density is missing.

* Maximum mean discrepancy with a declared kernel, here k(x, y) = exp(−‖x − y‖²/2h²) (Gretton et al. 2012):
  the unbiased U-statistic of h(i, j) = k(xᵢ,xⱼ) + k(yᵢ,yⱼ) − k(xᵢ,yⱼ) − k(xⱼ,yᵢ).
* Sliced Wasserstein-2, SW² = E_θ W₂²(θᵀx, θᵀy) over uniform directions θ (Bonneel et al. 2015). W₂² is jointly convex,
  so its value between samples bounds SW² from above in expectation.
* Classifier two-sample test (Lopez-Paz & Oquab 2017, arXiv:1610.06545): held-out accuracy and AUC. A classifier's
  KL, by Donsker & Varadhan, cannot be trusted above log n whatever the truth (McAllester & Stratos 2020,
  arXiv:1811.04251) and is refused there; below, it is that of a lower bound, with an upward bias of its own.
* k-nearest-neighbour KL (Wang, Kulkarni & Verdú 2009), refused above D = 10, where bias is of the order of the value.

Rows of a sample are independent draws: pass one draw per image. A saturated or refused value is an answer: where the
exact log-ratio is known, ``divergence`` measures what these can only detect.
"""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Generator, Tensor

from analysis.divergence import MIN_EFFECTIVE_DRAWS, area_under_curve
from analysis.estimate import Estimate
from analysis.mean_discrepancy import squared_mean_discrepancy

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin

MAX_NEIGHBOUR_DIM = 10
JACKKNIFE_GROUPS = 20


@dataclass(frozen=True, slots=True)
class ClassifierTest:
    """Scores of a classifier on two samples that it was not fitted to.

    accuracy: ½ where q = p.
    auc: ½ where q = p.
    kl: estimate in nats of Donsker and Varadhan's lower bound on KL(q ‖ p) that the classifier gives. It errs upward,
        since the logarithm of a mean is less than the mean's on average, and the more so the fewer draws carry it.
    """

    accuracy: Estimate
    auc: Estimate
    kl: Estimate


def median_bandwidth(x: Tensor, y: Tensor) -> float:
    """Median distance between distinct points of two samples taken together.

    Args:
        x: ``(M, *latent)``.
        y: ``(K, *latent)``.
    """
    rows = torch.cat([_rows(x), _rows(y)])
    first, second = torch.triu_indices(len(rows), len(rows), offset=1)
    return float(torch.cdist(rows, rows)[first, second].median())


def squared_mmd(x: Tensor, y: Tensor, bandwidth: float) -> Estimate:
    """Squared maximum mean discrepancy, Gaussian kernel; see :mod:`analysis.mean_discrepancy` for its standard error.

    Args:
        x: ``(M, *latent)``.
        y: of the same shape.
        bandwidth: h, in units of the latent; refused where it is 0, as that of rows most of which are equal.

    Raises:
        ValueError: if the shapes differ.
    """
    if not bandwidth > 0:
        return Estimate.refused("a kernel without width: half of the distances or more are 0", len(x))
    return squared_mean_discrepancy(
        x, y, lambda left, right: torch.exp(-torch.cdist(left, right).square() / (2 * bandwidth**2))
    )


def squared_sliced_wasserstein(
    x: Tensor, y: Tensor, generator: Generator, num_projections: int = 64, num_batches: int = 10
) -> Estimate:
    """Squared sliced Wasserstein-2 distance: an upper bound in expectation.

    The rows are cut into disjoint batches with directions of their own, on which the standard error rests; the bias is
    that of one batch.

    Args:
        x: ``(M, *latent)``.
        y: of the same shape.
        generator: of the directions.
        num_projections: directions of a batch.
        num_batches: how many batches.

    Raises:
        ValueError: if the shapes differ, or a batch would hold less than two rows.
    """
    x, y = _paired(x, y)
    size = len(x) // num_batches
    if size < 2:
        raise ValueError(f"expected at least {2 * num_batches} rows for {num_batches} batches; got {len(x)}")
    distances = []
    for left, right in zip(x.split(size)[:num_batches], y.split(size)[:num_batches], strict=True):
        noise = torch.randn(x.shape[1], num_projections, generator=generator, device=generator.device)
        directions = noise.to(x) / noise.to(x).norm(dim=0)
        gap = (left @ directions).sort(0).values - (right @ directions).sort(0).values
        distances.append(gap.square().mean())
    return Estimate.mean(torch.stack(distances), "upper")


def classifier_test(x: Tensor, y: Tensor, classifier: ClassifierMixin, generator: Generator) -> ClassifierTest:
    """Classifier two-sample test: fitted on a random half of the rows, scored on the other.

    Args:
        x: sample of q, ``(M, *latent)``.
        y: sample of p, ``(K, *latent)``.
        classifier: a scikit-learn classifier with ``predict_proba``, a copy of which is fitted; what it cannot
            represent (a linear one: any difference beyond the means) it cannot find, so ½ is not evidence of equality.
        generator: of the halves.
    """
    fit_x, test_x = _halves(x, generator)
    fit_y, test_y = _halves(y, generator)
    trained = deepcopy(classifier).fit(np.concatenate([fit_x, fit_y]), np.repeat([1, 0], [len(fit_x), len(fit_y)]))
    log_odds_x, log_odds_y = (_log_odds(trained, rows) for rows in (test_x, test_y))
    correct = torch.cat([log_odds_x > 0, log_odds_y <= 0]).to(torch.float64)
    return ClassifierTest(
        accuracy=Estimate.mean(correct),
        auc=area_under_curve(log_odds_x, log_odds_y),
        kl=_donsker_varadhan(log_odds_x, log_odds_y),
    )


def nearest_neighbour_kl(x: Tensor, y: Tensor, k: int = 5) -> Estimate:
    """KL(q ‖ p) in nats by nearest-neighbour distances, D at most 10.

    Neighbours are shared, so the summands are dependent: the standard error is a jackknife over 20 groups of rows.

    Args:
        x: sample of q, ``(M, *latent)``.
        y: sample of p, ``(K, *latent)``.
        k: the neighbour whose distance is taken.
    """
    points, reference = _rows(x).cpu().numpy(), _rows(y).cpu().numpy()
    num, dim = points.shape
    if dim > MAX_NEIGHBOUR_DIM:
        return Estimate.refused(f"nearest neighbours above D = {MAX_NEIGHBOUR_DIM}; got D = {dim}", num)
    few = min(num, len(reference))
    if few - math.ceil(few / JACKKNIFE_GROUPS) <= k:
        return Estimate.refused(f"the {k}-th neighbour of a row, and of parts of the rows, needs more rows", num)
    if len(np.unique(points, axis=0)) < num or len(np.unique(reference, axis=0)) < len(reference):
        return Estimate.refused("coinciding rows have no nearest-neighbour density", num)
    group, reference_group = (np.arange(len(rows)) % JACKKNIFE_GROUPS for rows in (points, reference))
    without = np.array(
        [
            _nearest_neighbour_log_ratio(points[group != left_out], reference[reference_group != left_out], k)
            for left_out in range(JACKKNIFE_GROUPS)
        ]
    )
    error = math.sqrt((JACKKNIFE_GROUPS - 1) * float(without.var()))
    value = _nearest_neighbour_log_ratio(points, reference, k)
    return Estimate(value, error, JACKKNIFE_GROUPS, num, "consistent")


def _nearest_neighbour_log_ratio(points: np.ndarray, reference: np.ndarray, k: int) -> float:
    within = cKDTree(points).query(points, [k + 1])[0]
    across = cKDTree(reference).query(points, [k])[0]
    return float(points.shape[1] * np.log(across / within).mean()) + math.log(len(reference) / (len(points) - 1))


def _donsker_varadhan(log_odds_x: Tensor, log_odds_y: Tensor) -> Estimate:
    positive, ratio = Estimate.mean(log_odds_x), Estimate.mean(log_odds_y.exp())
    value, ceiling = positive.value - math.log(ratio.value), math.log(ratio.n)
    if not value < ceiling:
        return Estimate.refused(f"a density-ratio classifier above log n = {ceiling:.3g} nats", ratio.n)
    error = math.hypot(positive.standard_error, ratio.standard_error / ratio.value)
    kl = Estimate(value, error, min(positive.n, ratio.n), positive.num_draws + ratio.num_draws, "consistent")
    log_effective_draws = 2 * log_odds_y.logsumexp(0) - (2 * log_odds_y).logsumexp(0)
    if log_effective_draws < math.log(MIN_EFFECTIVE_DRAWS):
        return kl.flagged("unreliable: fewer than ten effective draws carry the ratio")
    return kl


def _log_odds(classifier: ClassifierMixin, rows: np.ndarray) -> Tensor:
    negative, positive = torch.from_numpy(np.asarray(classifier.predict_proba(rows), dtype=np.float64)).unbind(1)
    return positive.log() - negative.log()


def _halves(rows: Tensor, generator: Generator) -> tuple[np.ndarray, np.ndarray]:
    order = torch.randperm(len(rows), generator=generator, device=generator.device).cpu()
    first, second = _rows(rows).cpu()[order].tensor_split(2)
    return first.numpy(), second.numpy()


def _rows(sample: Tensor) -> Tensor:
    return sample.detach().flatten(1).to(torch.float64)


def _paired(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    if x.shape != y.shape:
        raise ValueError(
            f"expected two samples of one shape; got {tuple(x.shape)} and {tuple(y.shape)}: draw equally many"
        )
    return _rows(x), _rows(y)
