"""Objectives: what SVI minimises, one per file, discovered by file name."""

from models.objectives._base import Objective, Terms
from models.objectives._pair import Latent, Pair, Site
from models.registry import Registry

OBJECTIVES: Registry[Objective] = Registry("objective", __name__, Objective)

__all__ = ["OBJECTIVES", "Latent", "Objective", "Pair", "Site", "Terms"]
