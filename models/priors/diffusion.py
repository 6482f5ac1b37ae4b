r"""Diffusion prior: p(z) from a variance-preserving diffusion of the latent to N(0, I), run back by a learned score.

Time is the angle θ in [0, π/2]:  z_θ = cos θ · z + sin θ · ε,  ε ~ N(0, I);  with any other schedule of the same
endpoints likelihoods are the same (Kingma et al. 2021, arXiv:2107.00630). A network h(z, θ) gives the score

    ∇ log p_θ(z) = −z − cos θ · h(z, θ),    that is, predicts the noise as  ε̂ = sin θ · z + sin θ cos θ · h(z, θ),

LSGM's mix of the score of N(0, I) and a correction. The last layer of h starts at zero, and p at N(0, I), exactly.

p(z). The probability-flow ODE (Song et al. 2021, arXiv:2011.13456) is here dz/dθ = sin θ · h(z, θ), free of
singularities, and defines the density

    log p(z) = log N(z_{π/2}; 0, I) + ∫₀^{π/2} sin θ · tr ∂h/∂z dθ,

integrated by ``steps`` steps of the classical Runge–Kutta method, of error O(steps⁻⁴). The trace is exact: with two
hidden layers, J = W₃ diag(a₂) W₂ diag(a₁) W₁ has tr J = a₂ᵀ (W₂ ∘ (W₁W₃)ᵀ) a₁, as cheap as h itself at any D. Draws
run the same ODE from N(0, I) at π/2 to 0.

Training. With v = cos θ · ε − sin θ · z, denoising at noise level σ = sin θ bounds the likelihood of the stochastic
reverse process, weighted as the likelihood demands (Song et al. 2021, arXiv:2101.09258):

    log p(z) ≥ log N(z; 0, I) + ∫₀¹ E_ε[2 v·h(z_θ, θ) − σ ‖h(z_θ, θ)‖²] dσ.

The integrand is bounded, σ is uniform and stratified over the batch, and z carries gradients to the encoder. At
h = E[v | z_θ]/σ, the true score, the bound is tight and both densities agree; elsewhere the ODE's may lie on either
side of the bound. As in LSGM all parts are trained together; unlike there, with this one weighting and one loss.
"""

from __future__ import annotations

import math
from typing import final, override

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn
from torch.nn.functional import silu

from models import noise
from models.context import Context
from models.distributions import EventDistribution
from models.options import Count, Repeats
from models.priors._base import check_parameters
from models.priors._vector import VectorPrior
from models.standard_normal import log_standard_normal

_FREQUENCIES = (1, 2, 4, 8)


@final
class Diffusion(VectorPrior):
    """N(0, I) carried back along the flow of a learned score.

    context: shapes.
    units: of each of the two hidden layers of h.
    steps: of the solver from one end to the other.
    """

    reference = "Vahdat et al. 2021, arXiv:2106.05931"
    couples_images = True  # the times of a batch are strata of one draw

    def __init__(self, context: Context, *, units: Count = 128, steps: Repeats = 25) -> None:
        super().__init__(context)
        dim = context.latent_dim
        check_parameters("diffusion", dim, (2 * dim + units) * units)
        self.correction = Correction(dim, units)
        self.steps = steps

    @override
    def for_training(self, images: Tensor) -> TorchDistribution:
        """The bound of the module docstring in the place of the density."""
        return BoundInTraining(self)

    @override
    def log_density(self, z: Tensor) -> Tensor:
        end, change = self._flow(z, 0.0, math.pi / 2)
        return log_standard_normal(end) + change

    @override
    def draw(self, num: int) -> Tensor:
        return self._flow(self.noise(num), math.pi / 2, 0.0)[0]

    def _flow(self, z: Tensor, start: float, end: float) -> tuple[Tensor, Tensor]:
        """z at the angle ``end`` from z ``(…, D)`` at ``start``, and the integral of the divergence, ``(…,)``."""

        def slope(z: Tensor, theta: float) -> tuple[Tensor, Tensor]:
            h, divergence = self.correction.with_divergence(z, torch.full_like(z[..., 0], theta))
            return math.sin(theta) * h, math.sin(theta) * divergence

        change = torch.zeros_like(z[..., 0])
        width = (end - start) / self.steps
        for step in range(self.steps):
            theta = start + step * width
            v1, d1 = slope(z, theta)
            v2, d2 = slope(z + 0.5 * width * v1, theta + 0.5 * width)
            v3, d3 = slope(z + 0.5 * width * v2, theta + 0.5 * width)
            v4, d4 = slope(z + width * v3, theta + width)
            z = z + width / 6 * (v1 + 2 * v2 + 2 * v3 + v4)
            change = change + width / 6 * (d1 + 2 * d2 + 2 * d3 + d4)
        return z, change


@final
class BoundInTraining(EventDistribution):
    """Density that latents are held to in training: ``log_prob`` is one draw of the bound on log p of ``prior``."""

    def __init__(self, prior: Diffusion) -> None:
        self.prior = prior
        super().__init__((), prior.latent_shape)

    @property
    @override
    def like(self) -> Tensor:
        return next(self.prior.parameters())

    @override
    def log_density(self, z: Tensor) -> Tensor:
        """One draw of the bound in nats, ``(…,)``, for each vector ``z`` ``(…, D)``."""
        # Under TraceGraph_ELBO, which tracks where values come from, the shape of one is a plain tuple.
        shape = torch.Size(z.shape[:-1])
        offset = torch.special.ndtr(noise.standard_normal(torch.Size((1,)), z))
        strata = torch.arange(shape.numel(), device=z.device) / shape.numel()
        sigma = (offset + strata).remainder(1).reshape(*shape, 1)
        cosine = (1 - sigma.square()).sqrt()
        epsilon = noise.standard_normal(z.shape, z)
        velocity = cosine * epsilon - sigma * z
        h = self.prior.correction(cosine * z + sigma * epsilon, sigma.squeeze(-1).asin())
        return log_standard_normal(z) + (2 * velocity * h - sigma * h.square()).sum(-1)

    @override
    def draw(self, shape: torch.Size) -> Tensor:
        """Draws of p(z) itself."""
        return self.prior.draw(shape.numel()).reshape(*shape, self.event_shape.numel())


class Correction(nn.Module):
    """h(z, θ): two SiLU layers, scaled and shifted by combinations of waves in θ; starts at zero.

    dim: D.
    units: of each layer.
    """

    def __init__(self, dim: int, units: int) -> None:
        super().__init__()
        self.first = nn.Linear(dim, units)
        self.second = nn.Linear(units, units)
        self.last = nn.Linear(units, dim)
        self.first_time = nn.Linear(2 * len(_FREQUENCIES), 2 * units)
        self.second_time = nn.Linear(2 * len(_FREQUENCIES), 2 * units)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, z: Tensor, theta: Tensor) -> Tensor:
        """h of vectors ``z`` ``(…, D)`` at angles ``theta`` in radians that broadcast to ``(…,)``."""
        *_, second = self._layers(z, theta)
        return self.last(silu(second))

    def with_divergence(self, z: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
        """h ``(…, D)`` and the trace of ∂h/∂z ``(…,)`` of vectors ``z`` at angles ``theta``, as in :meth:`forward`."""
        first_scale, first, second_scale, second = self._layers(z, theta)
        coupling = self.second.weight * (self.first.weight @ self.last.weight).T
        inner = (first_scale * _silu_slope(first)) @ coupling.T
        return self.last(silu(second)), (second_scale * _silu_slope(second) * inner).sum(-1)

    def _layers(self, z: Tensor, theta: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Scale and what enters the SiLU, of either layer."""
        waves = torch.stack([wave(k * theta) for k in _FREQUENCIES for wave in (torch.cos, torch.sin)], -1)
        first_scale, first_shift = self.first_time(waves).chunk(2, -1)
        second_scale, second_shift = self.second_time(waves).chunk(2, -1)
        first = (1 + first_scale) * self.first(z) + first_shift
        second = (1 + second_scale) * self.second(silu(first)) + second_shift
        return 1 + first_scale, first, 1 + second_scale, second


def _silu_slope(x: Tensor) -> Tensor:
    gate = x.sigmoid()
    return gate * (1 + x * (1 - gate))
