"""Objectives: what SVI minimises, one per file, discovered by file name."""

from models.objectives._base import Objective, Terms
from models.objectives._pair import Latent, Pair, Site

__all__ = ["Latent", "Objective", "Pair", "Site", "Terms"]
