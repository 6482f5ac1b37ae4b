r"""Second-stage VAE: a small VAE on the codes of the first, with a learned scale of its Gaussian decoder.

    u ~ N(0, I_L),   y | u ~ N(g(u), γ² I_D),   y = (z − m)/s,   q(u|y) = N(a(y), diag b²(y))

trained by its ELBO with γ learned (Dai & Wipf 2019, arXiv:1903.05789): codes fill their space, so that an aggregate
posterior of u close to N(0, I) can be reached where that of z was not. A draw takes two ancestral steps, u and then y.
The density has no closed form; the importance-weighted bound (Burda et al. 2016, arXiv:1509.00519)

    log r(z) ≥ E log (1/K) Σ_k N(u_k; 0, I) N(y; g(u_k), γ² I) / q(u_k|y) − Σ_d log s_d,    u_k ~ q(u|y)

is evaluated in its place, with noise from a seed kept since the fit: the same codes give the same numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final, override

import torch
from torch import Tensor, nn

from analysis.density_fits._base import Codes, Density, DensityFit
from analysis.density_fits._training import Standardisation, TrainingOptions, seeded_module, train
from analysis.estimate import Bound
from analysis.options import Count, Positive, Repeats, Width
from analysis.randomness import stream

ELEMENTS_PER_BLOCK = 2**21
LOG_2PI = math.log(2 * math.pi)


class SecondStageNetworks(nn.Module):
    """Encoder y ↦ (a, log b), decoder u ↦ g(u), and log γ.

    dim: D.
    latent_dim: L.
    hidden_width: units of both layers of encoder and decoder.
    """

    def __init__(self, dim: int, latent_dim: int, hidden_width: int) -> None:
        super().__init__()
        self.encoder = _perceptron(dim, hidden_width, 2 * latent_dim)
        self.decoder = _perceptron(latent_dim, hidden_width, dim)
        self.log_gamma = nn.Parameter(torch.zeros(()))
        self.latent_dim = latent_dim

    def log_weights(self, y: Tensor, noise: Tensor) -> Tensor:
        """Log p(u)p(y|u)/q(u|y), ``(K, M)`` in nats, at u = a + b · noise.

        Args:
            y: standardised codes, ``(M, D)``.
            noise: standard normal, ``(K, M, L)``.
        """
        loc, log_scale = self.encoder(y).chunk(2, dim=-1)
        u = loc + log_scale.exp() * noise
        log_prior_to_posterior = 0.5 * (noise.square() - u.square()).sum(-1) + log_scale.sum(-1)
        residual = (y - self.decoder(u)) * torch.exp(-self.log_gamma)
        return log_prior_to_posterior - (0.5 * (residual.square() + LOG_2PI) + self.log_gamma).sum(-1)


@dataclass(frozen=True, eq=False)
class SecondStage(Density):
    """A trained second stage; ``log_prob`` is a lower bound in expectation.

    networks: of the second stage.
    standardisation: of the codes.
    num_importance: K, draws of the bound.
    seed: of their noise.
    """

    bound: ClassVar[Bound] = "lower"

    networks: SecondStageNetworks
    standardisation: Standardisation
    num_importance: int
    seed: int

    @torch.no_grad()
    @override
    def log_prob(self, z: Tensor) -> Tensor:
        """Importance-weighted lower bound of log r(z), float64; the noise of each code is its own."""
        generator = stream(self.seed, "importance draws", device=z.device)
        width = self.num_importance * max(z.shape[1], self.networks.latent_dim)
        bounds = []
        for y in self.standardisation.standardise(z).split(max(ELEMENTS_PER_BLOCK // width, 1)):
            shape = (self.num_importance, len(y), self.networks.latent_dim)
            noise = torch.randn(shape, generator=generator, dtype=torch.float64, device=z.device)
            bounds.append(self.networks.log_weights(y, noise).logsumexp(0) - math.log(self.num_importance))
        return torch.cat(bounds) - self.standardisation.log_volume

    @torch.no_grad()
    @override
    def sample(self, num: int, generator: torch.Generator) -> Tensor:
        """Draws of u and then of y given u, float64."""
        mean = self.standardisation.mean

        def noise(dim: int) -> Tensor:
            draws = torch.randn(num, dim, generator=generator, dtype=torch.float64, device=generator.device)
            return draws.to(mean.device)

        y = self.networks.decoder(noise(self.networks.latent_dim))
        return self.standardisation.restore(y + self.networks.log_gamma.exp() * noise(len(mean)))


@final
class SecondStageFit(DensityFit):
    """Second-stage VAE on the codes, whose training is stopped by the held-out ELBO.

    latent_dim: L, at most D in effect.
    hidden_width: units of both layers of encoder and decoder.
    num_importance: draws K of the bound.
    learning_rate: of training; for this and the following see :class:`TrainingOptions`.
    batch_size: codes per step.
    max_epochs: passes over the codes at most.
    patience: epochs without a better held-out ELBO after which to stop.
    """

    reference = "Dai & Wipf 2019, arXiv:1903.05789"

    def __init__(
        self,
        *,
        latent_dim: Width = 64,
        hidden_width: Width = 512,
        num_importance: Count = 64,
        learning_rate: Positive = 1e-3,
        batch_size: Count = 256,
        max_epochs: Repeats = 200,
        patience: Repeats = 10,
    ) -> None:
        self.latent_dim = latent_dim
        self.hidden_width = hidden_width
        self.num_importance = num_importance
        self.training = TrainingOptions(learning_rate, batch_size, max_epochs, patience)

    @override
    def fit_vectors(self, codes: Codes, choice: Codes, generator: torch.Generator) -> SecondStage:
        """The networks of the epoch with the highest ELBO on ``choice``."""
        dim = codes.z.shape[1]
        latent_dim = min(dim, self.latent_dim)
        standardisation = Standardisation.of(codes.z)

        def negative_elbo(networks: SecondStageNetworks, y: Tensor) -> Tensor:
            noise = torch.randn(1, len(y), latent_dim, generator=generator, device=generator.device)
            return -networks.log_weights(y, noise.to(y.device)).squeeze(0)

        networks, epochs, flags = train(
            seeded_module(lambda: SecondStageNetworks(dim, latent_dim, self.hidden_width), generator),
            negative_elbo,
            standardisation.standardise(codes.z),
            standardisation.standardise(choice.z),
            generator,
            self.training,
        )
        seed = int(torch.randint(2**62, (1,), generator=generator, device=generator.device))
        return SecondStage(
            networks, standardisation, self.num_importance, seed, choices={"epochs": epochs}, flags=flags
        )


def _perceptron(inputs: int, width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, outputs)
    )
