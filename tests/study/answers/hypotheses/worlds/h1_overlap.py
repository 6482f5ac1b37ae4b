"""World of H1: ln BC is −0.4 KL, and in the false world ten per cent further below zero at each doubling of D."""

import math

import numpy as np
import xarray as xr

from ._estimates import aggregate


def truth(cell, holds):
    kl = np.linspace(4, 40, 30)
    log_overlap = -0.4 * kl * (1 if holds else 1 + 0.1 * math.log2(cell.latent_dim))
    records = {"kl_standard": ("code", kl), "log_bhattacharyya": ("code", log_overlap)}
    return aggregate(rate=20.0), {"codes": xr.Dataset(records)}
