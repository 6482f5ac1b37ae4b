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
from analysis.geometry.distances import nearest


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


def novelty(samples: Tensor, held_out: Tensor, train: Tensor) -> Novelty:
    """Novelty of samples, with the training images given.

    Args:
        samples: ``(M, *image)``.
        held_out: images that were not trained on, ``(K, *image)``.
        train: training images, ``(N, *image)``.
    """
    distances = nearest(torch.cat([samples, held_out]), train)[0][:, 0]
    of_samples, of_held_out = distances.split([len(samples), len(held_out)])
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
