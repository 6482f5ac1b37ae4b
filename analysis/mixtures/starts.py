"""Starts of EM: k-means++ centres (Arthur & Vassilvitskii 2007), two Lloyd iterations, one M-step on the clusters.

Distances are in units of the codes' standard deviation per dimension, so that a start, and with it the whole fit, does
not depend on the scale of any dimension. All coordinates are centred ones.
"""

from __future__ import annotations

import torch
from torch import Tensor

from analysis.mixtures.codes import CentredCodes

LLOYD_ITERATIONS = 2


def kmeans_plus_plus(codes: CentredCodes, num_centres: int, generator: torch.Generator) -> Tensor:
    """Centres ``(K, D)``, each a code drawn with probability proportional to its squared distance to those before.

    Args:
        codes: centred.
        num_centres: K.
        generator: the whole of the randomness.
    """
    nearest = torch.ones(len(codes), dtype=torch.float64, device=codes.values.device)
    chosen: list[Tensor] = []
    for number in range(num_centres):
        mass = nearest.cumsum(0)
        level = torch.rand(1, generator=generator, dtype=torch.float64, device=generator.device).to(mass.device)
        index = torch.searchsorted(mass, level * mass[-1], right=True).clamp(max=len(codes) - 1)
        centre = codes.centred(index).squeeze(0)
        chosen.append(centre)
        distances = _squared_distances(codes, centre)
        nearest = torch.minimum(nearest, distances) if number else distances
    return torch.stack(chosen)


def _squared_distances(codes: CentredCodes, centre: Tensor) -> Tensor:
    scaled = centre / codes.variance
    products = (codes.values @ scaled.to(codes.values.dtype)).to(torch.float64) - codes.centre @ scaled
    return (codes.squared_norms - 2 * products + centre @ scaled).clamp(min=0)


def assign(codes: CentredCodes, centres: Tensor) -> Tensor:
    """Index ``(N,)`` of the centre nearest to each code.

    Args:
        codes: centred.
        centres: ``(K, D)``.
    """
    scaled = centres / codes.variance
    bias = -0.5 * (scaled * centres).sum(1)
    weights, bias = scaled.to(codes.values.dtype), bias.to(codes.values.dtype)[:, None]
    return torch.cat([torch.addmm(bias, weights, block).argmax(0) for block in codes.blocks(codes.dim + len(centres))])


def cluster(codes: CentredCodes, num_clusters: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Cluster index ``(N,)`` of each code and the centres ``(K, D)`` it was assigned by.

    Args:
        codes: centred.
        num_clusters: K.
        generator: the whole of the randomness.
    """
    centres = kmeans_plus_plus(codes, num_clusters, generator)
    labels = assign(codes, centres)
    for _ in range(LLOYD_ITERATIONS):
        centres = _means(codes, labels, centres)
        labels = assign(codes, centres)
    return labels, centres


def _means(codes: CentredCodes, labels: Tensor, centres: Tensor) -> Tensor:
    sums, counts = torch.zeros_like(centres), torch.bincount(labels, minlength=len(centres))
    blocks = codes.blocks(codes.dim + len(centres))
    start = 0
    for block in blocks:
        members = one_hot(labels[start : start + block.shape[1]], len(centres), block.dtype)
        sums += members @ block.T
        start += block.shape[1]
    return torch.where(counts[:, None] > 0, sums / counts.clamp(min=1)[:, None], centres)


def one_hot(labels: Tensor, num_classes: int, dtype: torch.dtype) -> Tensor:
    """Indicator matrix ``(K, m)``.

    Args:
        labels: int64 ``(m,)``.
        num_classes: K.
        dtype: of the matrix.
    """
    return (labels == torch.arange(num_classes, device=labels.device)[:, None]).to(dtype)
