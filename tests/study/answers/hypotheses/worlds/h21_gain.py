"""World of H21: quality lost has the order of the gain, or that of the nats, but for a little noise."""

import numpy as np
import xarray as xr

from ._estimates import aggregate


def truth(cell, holds):
    generator = np.random.default_rng(0)
    nats, gain = generator.uniform(1, 50, size=(2, 60))
    lost = (gain if holds else nats) + generator.normal(0, 2, size=60)
    records = {"lost": ("displacement", lost), "gain": ("displacement", gain), "nats": ("displacement", nats)}
    return aggregate(rate=20.0), {"displacements": xr.Dataset(records)}
