"""Families: the kinds of parts that a study is made of, each a folder of one class per file.

A family's name is its key in a configuration and on the command line; its folder is where its parts are discovered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from study.design.registry import Registry

if TYPE_CHECKING:
    from analysis.density_fits import DensityFit
    from models.likelihoods import Likelihood
    from models.networks import Network
    from models.objectives import Objective
    from models.posteriors import Posterior
    from models.priors import Prior

PRIORS: Registry[Prior] = Registry("prior", "models.priors", "Prior")
POSTERIORS: Registry[Posterior] = Registry("posterior", "models.posteriors", "Posterior")
LIKELIHOODS: Registry[Likelihood] = Registry("likelihood", "models.likelihoods", "Likelihood")
NETWORKS: Registry[Network] = Registry("network", "models.networks", "Network")
OBJECTIVES: Registry[Objective] = Registry("objective", "models.objectives", "Objective")
DATASETS: Registry[Any] = Registry("dataset", "study.run.data.datasets", "Dataset")
DENSITIES: Registry[DensityFit] = Registry("density", "analysis.density_fits", "DensityFit")

FAMILIES: dict[str, Registry[Any]] = {
    family.kind: family for family in (PRIORS, POSTERIORS, LIKELIHOODS, NETWORKS, OBJECTIVES, DATASETS, DENSITIES)
}
"""Every family by its kind."""
