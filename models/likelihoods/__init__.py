"""Likelihoods p(x|z): one final class per file, discovered by file name."""

from models.likelihoods._base import Likelihood
from models.registry import Registry

LIKELIHOODS: Registry[Likelihood] = Registry("likelihood", __name__, Likelihood)

__all__ = ["LIKELIHOODS", "Likelihood"]
