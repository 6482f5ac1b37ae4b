r"""Gaussian mixture r(z) = Σₖ πₖ N(z; μₖ, Σₖ): a density with float64 parameters, evaluated in float64.

Its Bayesian information criterion on N codes is −2 Σₙ ln r(zₙ) + p ln N with p free parameters (Schwarz 1978); lower is
better.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from analysis.mixtures.codes import centred_blocks, check_codes
from analysis.mixtures.covariances import Components


@dataclass(frozen=True, eq=False)
class GaussianMixture:
    """A mixture of K normals.

    weights: π, float64 ``(K,)``, that sum to one.
    components: the normals.
    """

    weights: Tensor
    components: Components

    @property
    def covariance(self) -> str:
        """Kind of covariance: diagonal, full, tied or low_rank."""
        return self.components.name

    @property
    def means(self) -> Tensor:
        """Component means ``(K, D)``."""
        return self.components.means

    @property
    def num_components(self) -> int:
        """Components K, empty ones included."""
        return len(self.weights)

    @property
    def num_parameters(self) -> int:
        """Free parameters of weights, means and covariances."""
        return self.num_components - 1 + self.components.num_parameters

    @torch.no_grad()
    def log_prob(self, codes: Tensor) -> Tensor:
        """Log-density ``(M,)`` (nats) of ``codes`` ``(M, D)``, computed in float64 whatever the codes' dtype."""
        check_codes(codes, self.means.shape[1])
        centre = self.weights @ self.means
        densities = self.components.shifted(-centre).densities(self.weights.log(), torch.float64)
        blocks = centred_blocks(codes, centre, densities.width + self.num_components, torch.float64)
        return torch.cat([densities.log_joint(densities.features(block)).logsumexp(0) for block in blocks])

    @torch.no_grad()
    def sample(self, num: int, generator: torch.Generator) -> Tensor:
        """Independent draws ``(num, D)``, float64, on the mixture's device.

        Args:
            num: number of draws.
            generator: the whole of the randomness.
        """
        weights = self.weights.to(generator.device)
        labels = torch.multinomial(weights, num, replacement=True, generator=generator).to(self.weights.device)
        draws = self.means[labels]
        for component in labels.unique().tolist():
            members = labels == component
            draws[members] += self.components.deviations(component, int(members.sum()), generator)
        return draws

    def bic(self, codes: Tensor) -> float:
        """Bayesian information criterion on ``codes`` ``(N, D)``, in nats; lower is better."""
        return -2 * float(self.log_prob(codes).sum()) + self.num_parameters * math.log(len(codes))

    def to(self, device: torch.device | str) -> Self:
        """The same mixture on ``device``."""
        return replace(self, weights=self.weights.to(device), components=self.components.to(device))


@dataclass(frozen=True, eq=False)
class FittedMixture(GaussianMixture):
    """A mixture with the record of the EM run that found it.

    trace: penalised log-likelihood in nats per code at the start and after each iteration.
    converged: whether the last iteration gained less than the tolerance.
    num_codes: codes N it was fitted to.
    """

    trace: tuple[float, ...]
    converged: bool
    num_codes: int

    @property
    def num_iterations(self) -> int:
        """EM iterations taken."""
        return len(self.trace) - 1
