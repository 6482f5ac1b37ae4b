r"""Hamiltonian Monte Carlo on many chains at once (Neal 2011, arXiv:1206.1901).

For a density π(z) and a momentum p ~ N(0, I) the leapfrog map of step ε, repeated n times,

    p ← p + ½ε ∇log π(z),   z ← z + εp,   p ← p + ½ε ∇log π(z)

is volume-preserving and, with p negated at its end, its own inverse. Accepting its end with probability
min(1, exp(−ΔH)), H = −log π(z) + ½|p|², leaves π invariant whatever ε, provided that ε is not chosen by the chain it
moves. Each transition of each chain draws its ε within 20 % of the step size given: with a fixed one a trajectory may
be close to a period of some dimension, which then does not move (Neal 2011, §3.2). A proposal whose energy is not a
number is rejected.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Generator, Tensor

LogDensity = Callable[[Tensor], Tensor]
"""Log-densities ``(C, B)`` (nats, float64) of C chains of B images at latents ``(C, B, *latent)``, differentiable."""

STEP_JITTER = 0.2


class Transition(NamedTuple):
    """One transition of C chains of B images.

    position: after it, ``(C, B, *latent)``.
    acceptance: probability with which each proposal was taken, ``(C, B)``.
    """

    position: Tensor
    acceptance: Tensor


def value_and_gradient(log_density: LogDensity, position: Tensor) -> tuple[Tensor, Tensor]:
    """Log-density ``(C, B)`` and its gradient, shaped like the position.

    Args:
        log_density: see :data:`LogDensity`.
        position: ``(C, B, *latent)``.
    """
    with torch.enable_grad():
        position = position.detach().requires_grad_()
        value = log_density(position)
        (gradient,) = torch.autograd.grad(value.sum(), position)
    return value.detach(), gradient


@torch.no_grad()
def leapfrog(
    log_density: LogDensity, position: Tensor, momentum: Tensor, step_size: Tensor, num_steps: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Position and momentum ``(C, B, *latent)`` at the end, and log-densities ``(C, B)`` at start and end.

    Args:
        log_density: see :data:`LogDensity`.
        position: ``(C, B, *latent)``.
        momentum: of the same shape.
        step_size: ε, ``(B,)`` or ``(C, B)``.
        num_steps: n.
    """
    step = _over_latent(step_size.to(position), position)
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
    """One transition of every chain.

    Args:
        log_density: see :data:`LogDensity`.
        position: ``(C, B, *latent)``.
        step_size: ``(B,)`` or ``(C, B)``, in units of the latent.
        generator: the whole of the randomness.
        num_steps: leapfrog steps.
    """
    noise = torch.randn(position.shape, dtype=position.dtype, generator=generator, device=generator.device)
    momentum = noise.to(position.device)
    shape = 2, *position.shape[:2]
    uniform, jitter = torch.rand(shape, dtype=torch.float64, generator=generator, device=generator.device).to(
        position.device
    )
    step = step_size * (1 + STEP_JITTER * (2 * jitter - 1))
    proposal, end_momentum, start, end = leapfrog(log_density, position, momentum, step, num_steps)
    log_ratio = end - _kinetic(end_momentum) - start + _kinetic(momentum)
    # NaN compares false and takes no part in the mean: it is a rejection.
    acceptance = log_ratio.clamp(max=0.0).exp().nan_to_num(nan=0.0)
    accepted = _over_latent(uniform < acceptance, position)
    return Transition(torch.where(accepted, proposal, position), acceptance)


def _over_latent(values: Tensor, position: Tensor) -> Tensor:
    return values[(...,) + (None,) * (position.ndim - 2)]


def _kinetic(momentum: Tensor) -> Tensor:
    return momentum.double().square().flatten(2).sum(2) / 2
