"""Priors p(z): one final class per file, discovered by file name."""

from models.priors._base import Prior
from models.registry import Registry

PRIORS: Registry[Prior] = Registry("prior", __name__, Prior)

__all__ = ["PRIORS", "Prior"]
