r"""Novelty: distance of samples to the nearest training image, against that of real images that were not trained on.

With d(x) = minₙ ‖x − xₙ‖ over training images, new images drawn from the data's own law have ratio
E d(sample)/E d(held-out) = 1 and P(d(sample) < d(held-out)) = ½. Copies pull the ratio to 0. So does smoothing:
the mean of several images is nearer to each than they are to one another, and a low ratio beside high realism is what
tells copies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from analysis.divergence import area_under_curve
from analysis.estimate import Estimate
from analysis.geometry.distances import PAIRS_PER_BLOCK

CANDIDATES = 4
"""Training images whose distance is taken exactly: rounding of single precision does not hide the nearest of them."""


@dataclass(frozen=True, slots=True)
class Novelty:
    """Distances to the nearest training image.

    distance: mean of samples.
    held_out_distance: mean of held-out images.
    ratio: of the two.
    nearer: probability that a sample is nearer than a held-out image.
    """

    distance: Estimate
    held_out_distance: Estimate
    ratio: Estimate
    nearer: Estimate


def distance_to_nearest(images: Tensor, train: Tensor) -> Tensor:
    """Distances ``(M,)``, float64, of images to the nearest training image.

    The nearest few are found in single precision, and the nearest of these by exact differences.

    Args:
        images: ``(M, *image)``.
        train: training images, ``(N, *image)``.
    """
    centres = train.flatten(1).float()
    half_norms = centres.square().sum(1) / 2
    few = min(CANDIDATES, len(centres))
    distances = []
    for block in images.flatten(1).split(max(PAIRS_PER_BLOCK // len(centres), 1)):
        candidates = torch.addmm(half_norms, block.float(), centres.T, alpha=-1).topk(few, largest=False).indices
        squared = [
            (block.double() - train.flatten(1)[candidate].double()).square().sum(1) for candidate in candidates.T
        ]
        distances.append(torch.stack(squared).amin(0).sqrt())
    return torch.cat(distances)


def novelty(of_samples: Tensor, of_held_out: Tensor) -> Novelty:
    """Novelty of samples, with the training images given; see :func:`distance_to_nearest`.

    Args:
        of_samples: distances ``(M,)`` of samples to the nearest training image.
        of_held_out: those ``(K,)`` of images that were not trained on.
    """
    distance, held_out_distance = Estimate.mean(of_samples), Estimate.mean(of_held_out)
    return Novelty(
        distance=distance,
        held_out_distance=held_out_distance,
        ratio=_ratio(distance, held_out_distance),
        nearer=area_under_curve(of_held_out, of_samples),
    )


def _ratio(numerator: Estimate, denominator: Estimate) -> Estimate:
    """Ratio of independent means, error by the delta method."""
    if denominator.value == 0.0:
        return Estimate.refused("every held-out image is a training image", denominator.n)
    value = numerator.value / denominator.value
    error = math.hypot(numerator.standard_error, value * denominator.standard_error) / denominator.value
    draws = numerator.num_draws + denominator.num_draws
    return Estimate(value, error, min(numerator.n, denominator.n), draws, "consistent")
