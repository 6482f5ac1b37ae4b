"""World of H17: At the smallest D shells differ and the projection helps, whatever the claim says of the others."""

from ._estimates import aggregate, realism


def truth(cell, holds):
    differ = cell.latent_dim == 8
    distances = realism(prior=100.0, shell_prior=50.0 if differ or not holds else 99.0)
    return aggregate(norm_auc=0.9 if differ else 0.5) | distances, {}
