"""Distributions over events of any shape, as parts of a model return them; one noun per file."""

from models.distributions.covariance_normal import CovarianceNormal
from models.distributions.event import EventDistribution
from models.distributions.normal import Normal, StandardNormal
from models.distributions.normal_mixture import NormalMixture, mixture
from models.distributions.sphere import Sphere, UniformOnSphere, log_area
from models.distributions.von_mises_fisher import VonMisesFisher

__all__ = [
    "CovarianceNormal",
    "EventDistribution",
    "Normal",
    "NormalMixture",
    "Sphere",
    "StandardNormal",
    "UniformOnSphere",
    "VonMisesFisher",
    "log_area",
    "mixture",
]
