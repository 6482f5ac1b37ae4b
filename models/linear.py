r"""Linear-Gaussian VAE: the one VAE whose every quantity is known (probabilistic PCA, Tipping & Bishop 1999).

    z ~ N(0, I_D),   x | z ~ N(W z + b, σ² I_P),   W of orthogonal columns
    Σ = (I + WᵀW/σ²)⁻¹ (diagonal),   A = Σ Wᵀ/σ²,   q(z|x) = p(z|x) = N(A (x − b), Σ)

With this guide log p(x, z) − log q(z|x) = log N(x; b, WWᵀ + σ²I) for every z: the ELBO has no variance. For data
x ~ N(b + δ, S) the aggregate posterior over the data distribution is q_∞ = N(m, M), m = Aδ, M = A S Aᵀ + Σ, and

    R = ½ (tr M + |m|² − D − ln|Σ|),   I = ½ (ln|M| − ln|Σ|),   KL(q_∞ ‖ p) = R − I.

With S = WWᵀ + σ²I and δ = 0, as under the model itself, q_∞ is the prior at any rate.
"""

from __future__ import annotations

from typing import NamedTuple, final

import pyro
import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from models.distributions import Normal
from models.store_name import StoreName


class Exact(NamedTuple):
    """Exact rate, mutual information and marginal KL, in nats, and the aggregate N(mean, covariance) they belong to."""

    rate: Tensor
    information: Tensor
    marginal_kl: Tensor
    mean: Tensor
    covariance: Tensor


@final
class LinearGaussianVAE(nn.Module):
    """The pair of the module docstring over vectors x.

    directions: ``(P, D)`` with orthonormal columns; gains: ``(D,)``, so that W = directions · diag(gains).
    bias: ``(P,)``. noise: σ > 0.
    """

    def __init__(self, directions: Tensor, gains: Tensor, bias: Tensor, noise: float) -> None:
        super().__init__()
        gram = directions.T @ directions
        if not torch.allclose(gram, torch.eye(len(gains), dtype=gram.dtype), atol=1e-5):
            raise ValueError("directions must have orthonormal columns; take them from torch.linalg.qr")
        if noise <= 0:
            raise ValueError(f"noise must be positive; got {noise}")
        self.weight = nn.Parameter(directions * gains)
        self.bias = nn.Parameter(bias.clone())
        self.noise = noise
        self._store_name = StoreName("linear")

    @classmethod
    def random(
        cls, latent_dim: int, data_dim: int, *, gain: float, noise: float, generator: torch.Generator
    ) -> LinearGaussianVAE:
        """Random directions ``(data_dim, latent_dim)`` and bias ``(data_dim,)``, drawn from ``generator`` in float64.

        The gains are spread evenly over [gain/2, gain]; ``noise`` is σ.
        """
        square = torch.randn(data_dim, latent_dim, dtype=torch.float64, generator=generator)
        gains = torch.linspace(gain / 2, gain, latent_dim, dtype=torch.float64)
        bias = torch.randn(data_dim, dtype=torch.float64, generator=generator)
        return cls(torch.linalg.qr(square).Q, gains, bias, noise)

    @property
    def posterior_variance(self) -> Tensor:
        """Diagonal of Σ, ``(D,)``."""
        return 1.0 / (1.0 + self.weight.square().sum(0) / self.noise**2)

    @property
    def recognition(self) -> Tensor:
        """A, ``(D, P)``."""
        return self.posterior_variance[:, None] * self.weight.T / self.noise**2

    def prior(self) -> TorchDistribution:
        """N(0, I_D)."""
        zeros = self.weight.new_zeros(self.weight.shape[1])
        return dist.Normal(zeros, torch.ones_like(zeros)).to_event(1)

    def posterior(self, images: Tensor) -> TorchDistribution:
        """The exact q(z|x) of vectors ``(B, P)``."""
        loc = (images - self.bias) @ self.recognition.T
        return Normal(loc, self.posterior_variance.sqrt().expand_as(loc)).to_event(1)

    def likelihood(self, latents: Tensor) -> TorchDistribution:
        """p(x|z) of latents ``(B, D)``."""
        loc = latents @ self.weight.T + self.bias
        return dist.Normal(loc, torch.full_like(loc, self.noise)).to_event(1)

    def marginal(self) -> TorchDistribution:
        """p(x) = N(b, WWᵀ + σ²I)."""
        eye = torch.eye(len(self.bias), dtype=self.weight.dtype)
        return dist.MultivariateNormal(self.bias, self.weight @ self.weight.T + self.noise**2 * eye)

    def model(self, images: Tensor) -> Tensor:
        """Joint p(x, z) with vectors ``(B, P)`` observed."""
        pyro.module(str(self._store_name), self)
        with pyro.plate("images", len(images)):
            z = pyro.sample("z", self.prior())
            pyro.sample("x", self.likelihood(z), obs=images)
        return z

    def guide(self, images: Tensor) -> Tensor:
        """The exact posterior."""
        pyro.module(str(self._store_name), self)
        with pyro.plate("images", len(images)):
            return pyro.sample("z", self.posterior(images))

    @torch.no_grad()
    def simulate(self, num: int, generator: torch.Generator) -> Tensor:
        """Vectors ``(num, P)`` drawn from the model: x = W z + b + σ ε with normal z and ε from ``generator``."""
        data_dim, latent_dim = self.weight.shape
        z, epsilon = (
            torch.randn(num, dim, dtype=self.weight.dtype, generator=generator) for dim in (latent_dim, data_dim)
        )
        return z @ self.weight.T + self.bias + self.noise * epsilon

    def exact(self, shift: Tensor | None = None, covariance: Tensor | None = None) -> Exact:
        """Exact quantities for data x ~ N(b + shift, covariance); by default data of the model itself."""
        with torch.no_grad():
            shift = torch.zeros_like(self.bias) if shift is None else shift
            covariance = self.marginal().covariance_matrix if covariance is None else covariance
            mean = self.recognition @ shift
            aggregate = self.recognition @ covariance @ self.recognition.T + torch.diag(self.posterior_variance)
            log_det_posterior = self.posterior_variance.log().sum()
            log_det_aggregate = torch.logdet(aggregate)
            second_moment = aggregate.trace() + mean.square().sum() - len(mean)
            rate = 0.5 * (second_moment - log_det_posterior)
            information = 0.5 * (log_det_aggregate - log_det_posterior)
            return Exact(rate, information, 0.5 * (second_moment - log_det_aggregate), mean, aggregate)
