"""World of H14."""


def truth(cell, holds):
    estimates = {}
    for scale in (0.5, 1.0, 2.0, 4.0):
        estimates[f"realism/local/label_agreement_{scale:g}"] = 1 - 0.2 * scale
        estimates[f"realism/local/predicted_flips_{scale:g}"] = 0.2 * scale + (0.01 if holds else 0.3)
    return estimates, {}
