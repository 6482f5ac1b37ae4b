"""World of H9."""

from ._estimates import realism


def truth(cell, holds):
    is_map = len(cell.latent_shape) > 1
    prior = 100.0 if is_map else 60.0 if holds else 120.0
    shuffles = {"shuffled_locations": 90.0 if holds else 30.0, "shuffled_channels": 40.0}
    return realism(prior=prior, aggregate_held_out=20.0, **(shuffles if is_map else {})), {}
