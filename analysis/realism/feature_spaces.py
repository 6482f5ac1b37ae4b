"""Feature spaces: one distance taken in the features of several networks, such as classifiers of other seeds.

F_k is the estimate in the features of network k of K, whose training is random, and the quantity its expectation over
networks and samples. By the law of total variance the mean of the F_k has the variance

    E[Var(F | network)] + Var(E[F | network])/K,   estimated by   mean_k se_k² + s²/K,

s² the sample variance of the F_k. Images are the same in all spaces, so the first term is not divided by K. The second
is nothing where the networks agree, and all replicates share it: means over training seeds do not lower it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from analysis.estimate import Estimate


def over_networks(estimates: Sequence[Estimate]) -> Estimate:
    """The mean over networks with the error of images and networks; the first refusal where one is refused.

    Args:
        estimates: F_k of the same images, K ≥ 1; of one network, that estimate itself.
    """
    first = next((each for each in estimates if each.is_refused), estimates[0])
    if len(estimates) == 1 or first.is_refused:
        return first
    values = np.array([each.value for each in estimates])
    within = float(np.mean([each.standard_error**2 for each in estimates]))
    error = math.sqrt(within + float(values.var(ddof=1)) / len(values))
    merged = replace(first, value=float(values.mean()), standard_error=error)
    return merged.flagged(*(flag for each in estimates for flag in each.flags))
