r"""Intrinsic dimension by two nearest neighbours (Facco et al. 2017, arXiv:1803.06992).

On a d-dimensional manifold of locally constant density the ratio of the distances to the second and first neighbour,
r = r₂/r₁, has P(r > t) = t^{−d}. With n points the maximum-likelihood estimate, made unbiased for independent ratios,
is d̂ = (n − 1)/Σ ln rᵢ. A point and its nearest neighbour share distances, so d̂/√n would understate the standard
error by about a fifth: it rests on the connected components of the nearest-neighbour graph. Edges and varying density
bias d̂ downwards, the more the higher d is.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from analysis.estimate import Estimate
from analysis.geometry.distances import nearest


def two_nn(points: Tensor) -> Estimate:
    """Intrinsic dimension of ``points`` ``(n, *latent)``; refused where points coincide or are equally far apart."""
    num = len(points)
    if num < 3:
        return Estimate.refused(f"two neighbours of a point need three points; got {num}", num)
    distance, neighbour = nearest(points, points, num=2, exclude=torch.arange(num, device=points.device))
    first, second = distance.T
    if not first.all():
        return Estimate.refused("coinciding points have no ratio of neighbour distances", num)
    graph = coo_array((np.ones(num), (np.arange(num), neighbour[:, 0].cpu().numpy())), shape=(num, num))
    cluster = torch.from_numpy(connected_components(graph, directed=False)[1]).to(points.device)
    log_ratio = Estimate.mean((second / first).log(), groups=cluster)
    if not log_ratio.value > 0:
        return Estimate.refused("neighbours that are equally far have no ratio of distances", num)
    value = (num - 1) / num / log_ratio.value
    return Estimate(value, value * log_ratio.standard_error / log_ratio.value, log_ratio.n, num, "consistent")
