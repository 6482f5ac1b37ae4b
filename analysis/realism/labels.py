r"""Labels of samples by a classifier p(c | x): whether classes are kept, all drawn, and clear.

* agreement: share of samples that the classifier gives the label they were drawn for. Its ceiling is the classifier's
  accuracy on real images, unless that label is the classifier's own answer on the image behind the sample;
* class entropy H(p̄), p̄ = mean of p(· | x) over samples: log C where all classes are drawn equally often;
* sample entropy, mean of H(p(· | x)), and confidence, mean of max_c p(c | x): how clear single samples are. A
  classifier may be sure of what is no image at all: these tell realism only beside distances to real images.

Entropies are in nats.
"""

from __future__ import annotations

import torch
from torch import Tensor

from analysis.estimate import Estimate


def label_agreement(probabilities: Tensor, labels: Tensor, groups: Tensor | None = None) -> Estimate:
    """Share of samples whose likeliest class is their label.

    Args:
        probabilities: p(c | x), ``(M, C)``.
        labels: int64 ``(M,)``.
        groups: integer label ``(M,)`` of the image behind each sample where several share one.
    """
    return Estimate.mean(probabilities.argmax(1) == labels, groups=groups)


def class_entropy(probabilities: Tensor) -> Estimate:
    """Entropy H(p̄) in nats of the mean class distribution of ``probabilities`` ``(M, C)``; biased down by O(C/M).

    −Σ p_mc ln p̄_c averages to H(p̄) and is its linearisation in p_m, so its spread gives the standard error.
    """
    mean = probabilities.mean(0).expand_as(probabilities)
    return Estimate.mean(-torch.xlogy(probabilities, mean).sum(1), "consistent")


def sample_entropy(probabilities: Tensor) -> Estimate:
    """Mean entropy in nats of the class distributions ``probabilities`` ``(M, C)`` of single samples."""
    return Estimate.mean(torch.special.entr(probabilities).sum(1))


def confidence(probabilities: Tensor) -> Estimate:
    """Mean probability of the likeliest class over ``probabilities`` ``(M, C)``."""
    return Estimate.mean(probabilities.amax(1))
