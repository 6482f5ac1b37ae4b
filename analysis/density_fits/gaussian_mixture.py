r"""Gaussian mixture: r(z) = Σₖ πₖ N(z; μₖ, Σₖ) by EM, with the number of components of highest held-out score.

See :mod:`analysis.mixtures` for the four kinds of covariance. ``low_rank`` (mixture of factor analysers) is the one for
D ≫ N.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final, override

import torch
from torch import Tensor

from analysis.density_fits._base import Codes, Density, DensityFit, DensityRefused, flag_at_end
from analysis.mixtures import FittedMixture, select_gaussian_mixture
from analysis.options import Count, Counts, Repeats


@dataclass(frozen=True, eq=False)
class Mixture(Density):
    """The chosen mixture."""

    mixture: FittedMixture

    @override
    def log_prob(self, z: Tensor) -> Tensor:
        """Log r(z), exact."""
        return self.mixture.log_prob(z)

    @override
    def sample(self, num: int, generator: torch.Generator) -> Tensor:
        """Draws of the mixture, float64."""
        return self.mixture.sample(num, generator)

    @override
    def normals(self) -> dict[str, Tensor]:
        """The components."""
        return {"weights": self.mixture.weights, "loc": self.mixture.means, **self.mixture.components.spreads()}


@final
class GaussianMixtureFit(DensityFit):
    """Gaussian mixture by EM, with the number of components of highest held-out score.

    covariance: of each component.
    num_components: the numbers to choose from.
    rank: number of factors of a ``low_rank`` covariance, D − 1 where that is less; the other covariances have none.
    num_starts: starts of EM, of which the best is taken.

    >>> generator = torch.Generator().manual_seed(0)
    >>> z = torch.randn(600, 2, generator=generator)
    >>> train, held_out = (Codes(part, torch.ones_like(part), part) for part in (z[:400], z[400:]))
    >>> density = GaussianMixtureFit(num_components=(1, 3)).fit(train, held_out, generator)
    >>> density.sample(5, generator).shape, density.held_out_score.n
    (torch.Size([5, 2]), 100)
    """

    reference = "Ghosh et al. 2020, arXiv:1903.12436; EM: Dempster, Laird & Rubin 1977"

    def __init__(
        self,
        *,
        covariance: Literal["diagonal", "full", "tied", "low_rank"] = "diagonal",
        num_components: Counts = (1, 3, 10, 30, 100),
        rank: Count = 10,
        num_starts: Repeats = 1,
    ) -> None:
        self.covariance = covariance
        self.num_components = num_components
        self.rank = rank
        self.num_starts = num_starts

    @override
    def fit_vectors(self, codes: Codes, choice: Codes, generator: torch.Generator) -> Mixture:
        """The mixture of highest mean log-density on ``choice``, of those the codes can support."""
        selection = select_gaussian_mixture(
            codes.z,
            choice.z,
            self.num_components,
            (self.covariance,),
            generator=generator,
            rank=min(self.rank, max(codes.z.shape[1] - 1, 1)),
            num_starts=self.num_starts,
        )
        best = selection.best_by_held_out
        if best is None or best.mixture is None:
            raise DensityRefused(
                "; ".join(dict.fromkeys(str(candidate.held_out) for candidate in selection.candidates))
            )
        return Mixture(
            best.mixture,
            choices={"num_components": best.num_components},
            flags=(
                *best.held_out.flags,
                *flag_at_end("num_components", best.num_components, self.num_components),
            ),
        )
