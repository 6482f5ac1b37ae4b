"""Words: what priors, densities, objectives and sources are called in plain sentences."""

from __future__ import annotations

from study.answers.remedies import EX_POST, Treatment
from study.design.parts import part_name

REPAIRED = {
    "moment_normal": "a normal distribution with the mean and the covariance of the codes",
    "mean_normal": "the prior moved to the mean of the codes",
    "gaussian_mixture": "a mixture of normal distributions fitted to the codes",
    "flow": "a normalising flow fitted to the codes",
    "second_stage": "a second, smaller autoencoder trained on the codes",
    "aggregate_kernel": "the codes of training images, slightly widened",
}
"""Densities fitted after training."""

PUT_RIGHT = {
    "mean_normal": "Giving the prior the mean of the codes, and nothing else of them,",
    "variance_normal": "Giving the prior the variance of the codes in every dimension, and nothing else of them,",
    "mean_variance_normal": "Giving the prior the mean and the variances of the codes",
    "centred_normal": "Giving the prior the variances and covariances of the codes, and not their mean,",
    "moment_normal": "Giving the prior the mean, the variances and the covariances of the codes",
    "shuffled_dimensions": "Putting every single dimension right, but not how dimensions go together,",
    "shell_prior": "Moving the prior's points to the usual distance from the centre",
}
"""Sources that put one thing right about the prior's points and decode them as before, in the order of the text."""

OBJECTIVES = {
    "elbo": "the sum of both terms of the loss",
    "both_means": "the mean of both terms of the loss",
    "kl_mean": "a loss whose second term alone is averaged",
}
"""How the loss is put together."""

DIGITS = {"digits", "mnist", "mnist_5k", "coloured_mnist_5k"}
"""Data sets whose images are digits."""


def repair_name(treatment: Treatment) -> str:
    """Name of the density that is drawn from in the place of the prior."""
    if treatment.kind == EX_POST:
        name = part_name(treatment.source)
        return REPAIRED.get(name, f"the density {name.replace('_', ' ')} fitted to the codes")
    return f"a prior learned with the networks, {treatment.remedy.split(',')[0].replace('_', ' ')}"


def objective_name(name: str) -> str:
    """Name of the loss."""
    return OBJECTIVES.get(name, f"the objective {name.replace('_', ' ')}")


def subject(dataset: str) -> str:
    """Name of the subject of a data set's images."""
    return "digits" if dataset in DIGITS else "real images"
