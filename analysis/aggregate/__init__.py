"""Aggregate posterior q_N(z) = (1/N) Σₙ q(z|xₙ): the mixture of the posteriors of N images, evaluated exactly."""

from analysis.aggregate.base import MAX_COVARIANCE_DIM, MAX_EIGENVECTOR_DIM, NOT_DIAGONAL, Aggregate
from analysis.aggregate.codes import CodeSource, InMemoryCodes, StreamedCodes
from analysis.aggregate.diagonal import DiagonalAggregate
from analysis.aggregate.general import GeneralAggregate

__all__ = [
    "MAX_COVARIANCE_DIM",
    "MAX_EIGENVECTOR_DIM",
    "NOT_DIAGONAL",
    "Aggregate",
    "CodeSource",
    "DiagonalAggregate",
    "GeneralAggregate",
    "InMemoryCodes",
    "StreamedCodes",
]
