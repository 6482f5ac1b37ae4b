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
    """Exact rate, information and marginal KL, in nats and 0-d, and the aggregate that they belong to.

    rate: R, the mean over images of KL(q(z|x) ‖ p).
    information: I, of image and latent.
    marginal_kl: KL(q_∞ ‖ p).
    mean, covariance: of q_∞, ``(D,)`` and ``(D, D)``.
    """

    rate: Tensor
    information: Tensor
    marginal_kl: Tensor
    mean: Tensor
    covariance: Tensor


@final
class LinearGaussianVAE(nn.Module):
    """Model and exact guide over vectors x ``(P,)`` with W = directions · diag(gains).

    directions: ``(P, D)`` with orthonormal columns.
    gains: ``(D,)``.
    bias: b, ``(P,)``.
    noise: σ > 0, in units of x.

    Raises ValueError for other directions or noise.

    >>> vae = LinearGaussianVAE.random(3, 10, gain=2.0, noise=0.5, generator=torch.Generator().manual_seed(0))
    >>> images = vae.simulate(100, torch.Generator().manual_seed(1))
    >>> vae.posterior(images).mean.shape
    torch.Size([100, 3])
    >>> exact = vae.exact()  # of data from the model itself, whose aggregate posterior is the prior
    >>> bool(exact.marginal_kl.abs() < 1e-9)
    True
    >>> torch.allclose(exact.rate, exact.information)
    True
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
        """A model in float64 with random directions and bias.

        latent_dim, data_dim: D and P.
        gain: the gains are spread evenly over [gain/2, gain].
        noise: σ > 0.
        generator: draws directions and bias.
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
        """The exact q(z|x) of vectors ``images`` ``(B, P)``."""
        loc = (images - self.bias) @ self.recognition.T
        return Normal(loc, self.posterior_variance.sqrt().expand_as(loc)).to_event(1)

    def likelihood(self, latents: Tensor) -> TorchDistribution:
        """p(x|z) of ``latents`` ``(B, D)``."""
        loc = latents @ self.weight.T + self.bias
        return dist.Normal(loc, torch.full_like(loc, self.noise)).to_event(1)

    @property
    def covariance(self) -> Tensor:
        """WWᵀ + σ²I of the images, ``(P, P)``."""
        eye = torch.eye(len(self.bias), dtype=self.weight.dtype)
        return self.weight @ self.weight.T + self.noise**2 * eye

    def marginal(self) -> TorchDistribution:
        """p(x) = N(b, WWᵀ + σ²I)."""
        return dist.MultivariateNormal(self.bias, self.covariance)

    def model(self, images: Tensor) -> Tensor:
        """Joint p(x, z) with vectors ``images`` ``(B, P)`` observed; returns z ``(B, D)``."""
        pyro.module(str(self._store_name), self)
        with pyro.plate("images", len(images)):
            z = pyro.sample("z", self.prior())
            pyro.sample("x", self.likelihood(z), obs=images)
        return z

    def guide(self, images: Tensor) -> Tensor:
        """The exact posterior of vectors ``images`` ``(B, P)``; returns z ``(B, D)``."""
        pyro.module(str(self._store_name), self)
        with pyro.plate("images", len(images)):
            return pyro.sample("z", self.posterior(images))

    @torch.no_grad()
    def simulate(self, num: int, generator: torch.Generator) -> Tensor:
        """``num`` vectors ``(num, P)`` drawn from the model: x = W z + b + σ ε, normal z and ε from ``generator``."""
        data_dim, latent_dim = self.weight.shape
        z, epsilon = (
            torch.randn(num, dim, dtype=self.weight.dtype, generator=generator) for dim in (latent_dim, data_dim)
        )
        return z @ self.weight.T + self.bias + self.noise * epsilon

    def exact(self, shift: Tensor | None = None, covariance: Tensor | None = None) -> Exact:
        """Exact quantities for data x ~ N(b + shift, covariance).

        shift: δ, ``(P,)``; none: zeros.
        covariance: S, ``(P, P)``; none: that of the model itself.
        """
        with torch.no_grad():
            shift = torch.zeros_like(self.bias) if shift is None else shift
            covariance = self.covariance if covariance is None else covariance
            mean = self.recognition @ shift
            aggregate = self.recognition @ covariance @ self.recognition.T + torch.diag(self.posterior_variance)
            log_det_posterior = self.posterior_variance.log().sum()
            log_det_aggregate = torch.logdet(aggregate)
            second_moment = aggregate.trace() + mean.square().sum() - len(mean)
            rate = 0.5 * (second_moment - log_det_posterior)
            information = 0.5 * (log_det_aggregate - log_det_posterior)
            return Exact(rate, information, 0.5 * (second_moment - log_det_aggregate), mean, aggregate)
