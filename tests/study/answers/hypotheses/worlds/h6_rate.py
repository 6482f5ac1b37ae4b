"""World of H6."""

import math

from ._estimates import aggregate, realism


def truth(cell, holds):
    rate = 10 * cell.latent_dim**0.1 / cell.beta**0.5
    gap = 5 * math.log1p(rate) if holds else 3 * math.log2(cell.latent_dim) + math.log1p(rate)
    return aggregate(rate=rate, gain_mean=gap**2) | realism(prior=30 + gap, aggregate_train=30.0), {}
