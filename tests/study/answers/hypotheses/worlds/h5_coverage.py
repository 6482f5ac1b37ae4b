"""World of H5."""

import math

import numpy as np
import xarray as xr

from ._estimates import aggregate


def truth(cell, holds):
    log_n = math.log(cell.limit)
    sizes = np.array([cell.limit // 24, cell.limit])
    curve = {"kl": (("split", "size"), [[9.0, 6.0]]), "num_images": (("split", "size"), [sizes])}
    estimates = aggregate(
        kl=30 / (1 + cell.beta) - log_n,
        kl_slope_log_n=-1.0 if holds else -0.6,
        information=log_n - (0.001 if cell.beta < 1 else 2.0),
        log_n=log_n,
    )
    return estimates, {"subsampling": xr.Dataset(curve, {"split": ["train"]})}
