"""Kinds of covariance a mixture may have, one per file."""

from typing import Literal

from analysis.mixtures.covariances._base import ComponentDensities, Components, MixtureRefused, Moments
from analysis.mixtures.covariances.diagonal import Diagonal
from analysis.mixtures.covariances.full import Full
from analysis.mixtures.covariances.low_rank import LowRank
from analysis.mixtures.covariances.tied import Tied

CovarianceName = Literal["diagonal", "full", "tied", "low_rank"]
COVARIANCES: dict[str, type[Components]] = {kind.name: kind for kind in (Diagonal, Full, Tied, LowRank)}

__all__ = ["COVARIANCES", "ComponentDensities", "Components", "CovarianceName", "MixtureRefused", "Moments"]
