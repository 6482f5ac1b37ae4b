r"""Moment-matched normal: G = N(μ̄, Cov(μ) + E[Σ]), the Gaussian with the exact moments of the aggregate q_N, where
μ and Σ are mean and covariance of q(z|x). Of posteriors whose covariance has no closed form, or would not fit in
memory, their variances take its place, which a flag says.

E_q[log G − log p] = KL(G ‖ p) is what second moments alone certify: scales that differ from the prior's in each
dimension, and codes misaligned with the axes. Samples of G tell whether repairing them repairs the images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final, override

import torch
from torch import Tensor
from torch.distributions import Distribution, MultivariateNormal

from analysis.aggregate import DiagonalAggregate, InMemoryCodes
from analysis.density_fits._base import Codes, Density, DensityFit, DensityRefused
from analysis.moments import FactorNormal, moment_matched

WITHOUT_CORRELATIONS = "correlations within posteriors are left out"
"""Flag of a G whose posteriors count with their variances alone."""


@dataclass(frozen=True, eq=False)
class MomentNormal(Density):
    """G over the flattened latents, float64."""

    normal: Distribution

    @override
    def log_prob(self, z: Tensor) -> Tensor:
        """Log G(z), exact."""
        return self.normal.log_prob(z.double())

    @override
    def sample(self, num: int, generator: torch.Generator) -> Tensor:
        """Draws μ̄ + L ε, or μ̄ + d ε₁ + F ε₂ where the covariance is kept as diagonal plus factor."""
        normal = self.normal
        assert isinstance(normal, (FactorNormal, MultivariateNormal))
        independent = _noise(num, normal.loc, normal.loc.shape[0], generator)
        if isinstance(normal, MultivariateNormal):
            return normal.loc + independent @ normal.scale_tril.T
        common = _noise(num, normal.loc, normal.cov_factor.shape[1], generator)
        return normal.loc + independent * normal.cov_diag.sqrt() + common @ normal.cov_factor.T

    @override
    def normals(self) -> dict[str, Tensor]:
        """A single normal."""
        normal = self.normal
        assert isinstance(normal, (FactorNormal, MultivariateNormal))
        own = {"weights": normal.loc.new_ones(1), "loc": normal.loc[None]}
        if isinstance(normal, MultivariateNormal):
            return own | {"scale_tril": normal.scale_tril[None]}
        return own | {"diagonal": normal.cov_diag[None], "factor": normal.cov_factor[None]}


@final
class MomentNormalFit(DensityFit):
    """The Gaussian with the exact mean and covariance of the aggregate posterior of the codes."""

    reference = "Ghosh et al. 2020, arXiv:1903.12436"

    @override
    def fit_vectors(self, codes: Codes, choice: Codes, generator: torch.Generator) -> MomentNormal:
        """G of ``codes``; nothing is chosen."""
        flags: tuple[str, ...] = ()
        normal = None
        try:
            normal = None if codes.aggregate is None else moment_matched(codes.aggregate)
        except ValueError:
            flags = (WITHOUT_CORRELATIONS,)
        if normal is None:
            normal = moment_matched(DiagonalAggregate(InMemoryCodes(codes.loc, codes.scale)))
        if normal is None:
            dim, num = codes.z.shape[1], len(codes)
            raise DensityRefused(f"a covariance over D = {dim} from N = {num} codes does not fit in memory")
        return MomentNormal(normal, flags=flags)


def _noise(num: int, like: Tensor, size: int, generator: torch.Generator) -> Tensor:
    noise = torch.randn(num, size, generator=generator, dtype=torch.float64, device=generator.device)
    return noise.to(like.device)
