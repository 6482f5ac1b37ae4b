"""World of H2."""

import numpy as np
import xarray as xr

from ._estimates import aggregate


def truth(cell, holds):
    dims = np.array([cell.latent_dim, 1024, 65536])
    change = np.array([0.0, 1e-13, 1e-12]) if holds else np.array([0.0, 1e-3, 1e-2])
    values = dict.fromkeys(("kl", "information", "total_variation"), ("padded_dim", 2.0 + change))
    thickness = {"shell_thickness": ("padded_dim", 1 / np.sqrt(2 * dims))}
    return aggregate(rate=20.0), {"padding": xr.Dataset(values | thickness, {"padded_dim": dims})}
