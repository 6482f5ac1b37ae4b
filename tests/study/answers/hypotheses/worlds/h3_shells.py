"""World of H3."""

from ._estimates import aggregate


def truth(cell, holds):
    return aggregate(norm_auc=0.51 if holds else 0.9, log_ratio_auc=0.95, mean_square=1.0), {}
