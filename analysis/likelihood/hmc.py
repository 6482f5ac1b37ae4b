r"""Hamiltonian Monte Carlo on many chains at once (Neal 2011, arXiv:1206.1901).

For a density π(z) and a momentum p ~ N(0, I) the leapfrog map of step ε, repeated n times,

    p ← p + ½ε ∇log π(z),   z ← z + εp,   p ← p + ½ε ∇log π(z)

is volume-preserving and, with p negated at its end, its own inverse. Accepting its end with probability
min(1, exp(−ΔH)), H = −log π(z) + ½|p|², leaves π invariant whatever ε. A proposal whose energy is not a number is
rejected.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Generator, Tensor

LogDensity = Callable[[Tensor], Tensor]
"""Log-densities [C, B] (nats, float64) of C chains of B images at latents [C, B, *latent], differentiable."""


class Transition(NamedTuple):
    """Positions [C, B, *latent] after one transition and the probability [C, B] with which each proposal was taken."""

    position: Tensor
    acceptance: Tensor


def value_and_gradient(log_density: LogDensity, position: Tensor) -> tuple[Tensor, Tensor]:
    """Log-density [C, B] and its gradient, shaped like ``position`` [C, B, *latent]."""
    with torch.enable_grad():
        position = position.detach().requires_grad_()
        value = log_density(position)
        (gradient,) = torch.autograd.grad(value.sum(), position)
    return value.detach(), gradient


@torch.no_grad()
def leapfrog(
    log_density: LogDensity, position: Tensor, momentum: Tensor, step_size: Tensor, num_steps: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Position and momentum [C, B, *latent] after ``num_steps`` steps, and log-densities [C, B] at start and end.

    ``step_size`` broadcasts against [C, B].
    """
    step = step_size.to(position)[(...,) + (None,) * (position.ndim - 2)]
    start, gradient = value_and_gradient(log_density, position)
    end = start
    for _ in range(num_steps):
        momentum = momentum + step / 2 * gradient
        position = position + step * momentum
        end, gradient = value_and_gradient(log_density, position)
        momentum = momentum + step / 2 * gradient
    return position, momentum, start, end


@torch.no_grad()
def hmc_transition(
    log_density: LogDensity, position: Tensor, step_size: Tensor, generator: Generator, num_steps: int
) -> Transition:
    """One transition of every chain from ``position`` [C, B, *latent]; ``step_size`` broadcasts against [C, B]."""
    noise = torch.randn(position.shape, dtype=position.dtype, generator=generator, device=generator.device)
    momentum = noise.to(position.device)
    proposal, end_momentum, start, end = leapfrog(log_density, position, momentum, step_size, num_steps)
    log_ratio = end - _kinetic(end_momentum) - start + _kinetic(momentum)
    # NaN compares false and takes no part in the mean: it is a rejection.
    acceptance = log_ratio.clamp(max=0.0).exp().nan_to_num(nan=0.0)
    uniform = torch.rand(acceptance.shape, dtype=torch.float64, generator=generator, device=generator.device)
    accepted = uniform.to(position.device) < acceptance
    accepted_latent = accepted[(...,) + (None,) * (position.ndim - 2)]
    return Transition(torch.where(accepted_latent, proposal, position), acceptance)


def _kinetic(momentum: Tensor) -> Tensor:
    return momentum.double().square().flatten(2).sum(2) / 2
