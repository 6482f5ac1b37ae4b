"""World of H10: The asker's observations under averages alone, or, in the false world, under the sum alone."""

from ._estimates import aggregate, realism


def truth(cell, holds):
    seen = (cell.objective.name != "elbo") == holds
    estimates = aggregate("held_out", reconstruction_error=0.01)
    estimates |= aggregate(rms_loc=0.1, mean_scale=0.98, rate=200.0)
    estimates |= realism(prior=200.0 if seen else 40.0, aggregate_held_out=20.0)
    return estimates | {"realism/local/label_agreement_1": 0.95}, {}
