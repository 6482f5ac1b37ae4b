"""Log-likelihood log p(x) of a latent-variable model: importance-weighted bounds and annealed importance sampling."""

from analysis.likelihood.annealing import AnnealedEvidence, AnnealingPath, Sandwich, sandwich, sigmoid_schedule
from analysis.likelihood.importance import ImportanceBounds, importance_bounds, log_importance_weights, pareto_shape

__all__ = [
    "AnnealedEvidence",
    "AnnealingPath",
    "ImportanceBounds",
    "Sandwich",
    "importance_bounds",
    "log_importance_weights",
    "pareto_shape",
    "sandwich",
    "sigmoid_schedule",
]
