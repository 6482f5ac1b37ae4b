"""Posteriors q(z|x): one final class per file, discovered by file name."""

from models.posteriors._base import Posterior
from models.registry import Registry

POSTERIORS: Registry[Posterior] = Registry("posterior", __name__, Posterior)

__all__ = ["POSTERIORS", "Posterior"]
