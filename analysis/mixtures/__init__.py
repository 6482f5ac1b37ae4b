"""Gaussian mixtures fitted to latent codes by maximum likelihood: the ex-post density r(z) of a trained VAE."""

from analysis.mixtures.covariances import COVARIANCES, CovarianceName, MixtureRefused
from analysis.mixtures.fit import expectation_maximisation, fit_gaussian_mixture
from analysis.mixtures.mixture import FittedMixture, GaussianMixture
from analysis.mixtures.selection import Candidate, MixtureSelection, select_gaussian_mixture

__all__ = [
    "COVARIANCES",
    "Candidate",
    "CovarianceName",
    "FittedMixture",
    "GaussianMixture",
    "MixtureRefused",
    "MixtureSelection",
    "expectation_maximisation",
    "fit_gaussian_mixture",
    "select_gaussian_mixture",
]
