"""Posteriors q(z|x): one final class per file, discovered by file name."""

from models.posteriors._base import Posterior

__all__ = ["Posterior"]
