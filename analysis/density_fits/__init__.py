"""Ex-post densities fitted to latent codes: one final class per file."""

from analysis.density_fits._base import Codes, Density, DensityFit, DensityRefused, FittedDensity

__all__ = ["Codes", "Density", "DensityFit", "DensityRefused", "FittedDensity"]
