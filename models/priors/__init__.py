"""Priors p(z): one final class per file, discovered by file name."""

from models.priors._base import Prior

__all__ = ["Prior"]
