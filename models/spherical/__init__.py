"""Spherical: distributions on the unit sphere S^{D−1}, their densities taken with respect to its surface measure."""

from models.spherical.sphere import Sphere, UniformOnSphere, log_area
from models.spherical.von_mises_fisher import VonMisesFisher

__all__ = ["Sphere", "UniformOnSphere", "VonMisesFisher", "log_area"]
