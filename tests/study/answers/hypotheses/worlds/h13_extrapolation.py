"""World of H13."""

import numpy as np
import xarray as xr

from ._estimates import aggregate


def truth(cell, holds):
    draws = np.linspace(0, 1, 40)
    log_ratio = np.stack([-100 * draws, 10 * draws])
    distance = np.stack([draws if holds else (draws * 7.3) % 1, draws])
    columns = {"log_ratio": log_ratio, "distance": distance, "gain_distance": distance[::-1]}
    records = {name: (("source", "draw"), column) for name, column in columns.items()}
    decoded = xr.Dataset(records, {"source": ["prior", "aggregate_train"]})
    return aggregate(log_ratio_auc=0.95), {"decoded": decoded}
