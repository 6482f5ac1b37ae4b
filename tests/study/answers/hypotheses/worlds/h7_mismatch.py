"""World of H7."""

import math

from ._estimates import aggregate


def truth(cell, holds):
    growth = (0.5 if holds else 0.01) * math.log2(cell.latent_dim)
    return aggregate(kl=1 + growth) | aggregate("held_out", kl_certified_aggregate=0.8 * (1 + growth)), {}
