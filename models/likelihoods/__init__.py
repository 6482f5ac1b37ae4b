"""Likelihoods p(x|z): one final class per file, discovered by file name."""

from models.likelihoods._base import Likelihood

__all__ = ["Likelihood"]
