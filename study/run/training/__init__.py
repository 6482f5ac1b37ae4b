"""Training: stochastic variational inference of a cell's replicates."""

from study.run.training.loop import Fit, fit

__all__ = ["Fit", "fit"]
