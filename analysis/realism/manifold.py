r"""Precision, recall, density and coverage: overlap of two samples' nearest-neighbour manifolds.

B(x) is the open ball about x that reaches to its k-th nearest neighbour in x's own sample. For samples y₁ … y_M and
real x₁ … x_N (Kynkäänniemi et al. 2019, arXiv:1904.06991; Naeem et al. 2020, arXiv:2002.09797):

    precision   share of samples y in some B(x)            density    mean over y of (1/k) #{x: y in B(x)}
    recall      share of real x in some B(y)               coverage   share of real x whose B(x) holds some y

For equal laws E density = 1 and E coverage = 1 − Π_{i=1}^{k} (N − i)/(N + M − i), whatever the law; precision and
recall depend on it: 0.47 for 10,000 draws in 1,000 dimensions. All four depend on k, N and M: compare at equal ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from analysis.estimate import Estimate
from analysis.geometry.distances import flat, nearest, squared_distance_blocks

NEIGHBOURS = 5
"""The neighbour that a ball reaches to, where nothing else is said."""


@dataclass(frozen=True, slots=True)
class Manifold:
    """The four overlaps of the module docstring, with the errors of means over the rows they count.

    Those errors take the other sample as given, and the rows as independent though they share balls: between
    repetitions with new samples on both sides the spread is wider.

    precision: share of samples in a ball of the real ones.
    recall: share of real ones in a ball of the samples.
    density: mean over samples of (1/k) #{x: y in B(x)}.
    coverage: share of real ones whose ball holds a sample.
    """

    precision: Estimate
    recall: Estimate
    density: Estimate
    coverage: Estimate


def manifold(samples: Tensor, real: Tensor, k: int = NEIGHBOURS, squared_radii: Tensor | None = None) -> Manifold:
    """Overlap of features, exact, in blocks of distances.

    Refused unless both sides hold more than k rows. A distance that equals a radius, as where both sides share rows, is
    decided by rounding.

    Args:
        samples: features, ``(M, F)``.
        real: features, ``(N, F)``.
        k: the neighbour that a ball reaches to.
        squared_radii: of the balls of the real images ``(N,)``, where they are known: as :func:`squared_ball_radii`
            gives them.
    """
    num = min(len(samples), len(real))
    if num <= k:
        refused = Estimate.refused(f"{num} rows have no {k}-th nearest neighbours; draw more", num)
        return Manifold(refused, refused, refused, refused)
    points = flat(samples)
    radius = squared_ball_radii(real, k) if squared_radii is None else squared_radii
    sample_radius = squared_ball_radii(samples, k)
    hits = points.new_zeros(len(points))
    recalled, covered = [], []
    for block, squared in squared_distance_blocks(points, real):
        inside = squared < radius[block, None]
        hits += inside.sum(0)
        covered.append(inside.any(1))
        recalled.append((squared < sample_radius).any(1))
    return Manifold(
        precision=Estimate.mean(hits > 0),
        recall=Estimate.mean(torch.cat(recalled)),
        density=Estimate.mean(hits / k),
        coverage=Estimate.mean(torch.cat(covered)),
    )


def squared_ball_radii(features: Tensor, k: int = NEIGHBOURS) -> Tensor:
    """Squared distances ``(n,)`` of the rows of ``features`` ``(n, F)``, n > k, to the k-th nearest of the others."""
    itself = torch.arange(len(features), device=features.device)
    return nearest(features, features, k, itself)[0][:, -1].square()
