"""Objectives: what SVI minimises, one per file, discovered by file name."""

from models.objectives._base import Objective, Terms
from models.registry import Registry

OBJECTIVES: Registry[Objective] = Registry("objective", __name__, Objective)

__all__ = ["OBJECTIVES", "Objective", "Terms"]
