r"""Polar angle: the angle φ between a draw of a von Mises–Fisher distribution on S^{D−1} and its mean direction.

    f(φ) = exp(−2κ sin²(φ/2)) sin^{D−2} φ / c_D(κ)   on (0, π),      w = cos φ = 1 − 2 sin²(φ/2)

c_D(κ) is the Bessel function e^{−κ} I_{D/2−1}(κ) up to powers and constants (DLMF 10.32.2). It, the moments of w and
the distribution function of φ come from one Gauss–Legendre rule over panels of an interval that holds all but about
e^{−40} of the mass. That serves every order and argument alike, in float64 whatever the input, and differentiates:

    ℓ(κ) = log c_D(κ)/c_D(0),    ℓ′ = −E[1 − w] = A_D(κ) − 1,    ℓ″ = Var w,    A_D(κ) = I_{D/2}(κ) / I_{D/2−1}(κ).

1 − w is kept in place of w, so that nothing cancels at large κ.

The interval: with R² = (D − 2)² + 4κ² the mode has cos φ* = 2κ/(D − 2 + R). On its left −(log f)″, which is
κ cos φ + (D − 2)/sin² φ, is at least its value at the mode, κ cos φ* + (D − 2 + R)/2. On its right, in x = sin(φ/2),
log f falls by more than (x − x*)² (2κ + 0.7 (D − 2)).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

PANELS = 32
NEWTON_STEPS = 5
_DROP = 40.0  # nats by which the density has fallen at the ends of the interval
_NODES, _WEIGHTS = ((np.polynomial.legendre.leggauss(8)[i] * 0.5).tolist() for i in (0, 1))


class PolarAngle:
    """The distribution of φ in dimension ``dim`` (at least 2) at each ``concentration`` κ ≥ 0, any batch shape.

    All that it gives is float64. ``log_normaliser`` ℓ(κ), ``versine`` E[1 − w], ``squared_versine`` E[(1 − w)²] and
    ``squared_sine`` E[1 − w²] have the batch shape and gradients in κ.
    """

    def __init__(self, dim: int, concentration: Tensor) -> None:
        self._power = dim - 2
        self._kappa = concentration.double()
        kappa = self._kappa.detach()
        self._low, high = _interval(self._power, kappa)
        self._width = (high - self._low) / PANELS
        starts = self._low[..., None] + self._width[..., None] * torch.arange(PANELS, device=kappa.device)
        phi, weight = _legendre(starts, self._width[..., None])
        log_mass = _log_kernel(self._power, self._kappa[..., None, None], phi) + weight.log()
        self._log_total = log_mass.flatten(-2).logsumexp(-1)
        self.log_normaliser = self._log_total - _log_beta(dim)
        mass = (log_mass - self._log_total[..., None, None]).exp()
        versine = _versine(phi)
        self.versine, self.squared_versine, self.squared_sine = (
            (mass * moment).sum((-2, -1)) for moment in (versine, versine.square(), phi.sin().square())
        )
        # Masses and first moments of 1 − w below the ends of the panels, for the quantiles.
        self._below = _running(mass.detach())
        self._versine_below = _running((mass * versine).detach())

    def quantile(self, level: Tensor) -> Tensor:
        """φ with F(φ) = ``level`` in (0, 1), sample shape + batch shape, with the implicit gradient in κ.

        Newton's method on F in the panel that holds ``level``, from the power law that rises towards the denser end of
        the panel with the mass of the panel and the density of that end. As F(φ(κ); κ) is constant, dφ/dκ is
        −∂F/∂κ / f(φ) with ∂F/∂κ = ∫₀^φ f (cos φ′ − A_D) dφ′ (Figurnov et al. 2018, arXiv:1805.08498).
        """
        panel = (self._below[..., 1:-1] <= level[..., None]).sum(-1)
        start, end = self._low + self._width * panel, self._low + self._width * (panel + 1)
        below, mass = _at(self._below, panel), _at(self._below, panel + 1) - _at(self._below, panel)
        share = ((level - below) / mass).clamp(0, 1)
        rising, falling = self._density(end), self._density(start)
        is_rising = rising >= falling
        exponent = mass / (self._width * torch.where(is_rising, rising, falling))
        step = self._width * torch.where(is_rising, share, 1 - share) ** exponent
        phi = torch.where(is_rising, start + step, end - step)
        for _ in range(NEWTON_STEPS):
            excess = below + self._integrals(start, phi)[0] - level
            phi = (phi - excess / self._density(phi)).clamp(start, end)
        inside, versine = self._integrals(start, phi)
        slope = self.versine.detach() * (below + inside) - (_at(self._versine_below, panel) + versine)
        return phi - slope / self._density(phi) * (self._kappa - self._kappa.detach())

    def _density(self, phi: Tensor) -> Tensor:
        return (_log_kernel(self._power, self._kappa.detach(), phi) - self._log_total.detach()).exp()

    def _integrals(self, start: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
        """∫ f and ∫ f (1 − w) from ``start`` to ``end``, at most one panel apart."""
        phi, weight = _legendre(start, end - start)
        log_density = (
            _log_kernel(self._power, self._kappa.detach()[..., None], phi) - self._log_total.detach()[..., None]
        )
        mass = log_density.exp() * weight
        return mass.sum(-1), (mass * _versine(phi)).sum(-1)


def _interval(power: int, kappa: Tensor) -> tuple[Tensor, Tensor]:
    """Ends of the interval of the module docstring; ``power`` is D − 2."""
    root = (power**2 + 4 * kappa.square() + torch.finfo(torch.float64).tiny).sqrt()
    cosine = 2 * kappa / (power + root)
    # 1 − cos φ*, without the subtraction.
    versine = power * (1 + power / (root + 2 * kappa)) / (power + root)
    x = (versine / 2).sqrt()
    left = (2 * _DROP / (kappa * cosine + (power + root) / 2)).sqrt()
    right = (_DROP / (2 * kappa + 0.7 * power)).sqrt()
    return (2 * x.asin() - left).clamp(min=0), 2 * (x + right).clamp(max=1).asin()


def _log_kernel(power: int, kappa: Tensor, phi: Tensor) -> Tensor:
    return power * phi.sin().clamp(min=torch.finfo(phi.dtype).tiny).log() - kappa * _versine(phi)


def _versine(phi: Tensor) -> Tensor:
    """1 − cos φ."""
    return 2 * (phi / 2).sin().square()


def _log_beta(dim: int) -> float:
    """log c_D(0) = log B(½, (D − 1)/2)."""
    return 0.5 * math.log(math.pi) + math.lgamma(0.5 * (dim - 1)) - math.lgamma(0.5 * dim)


def _legendre(start: Tensor, width: Tensor) -> tuple[Tensor, Tensor]:
    """Nodes and weights of the rule on [start, start + width], in a new last dimension."""
    nodes = torch.stack([start + (0.5 + node) * width for node in _NODES], -1)
    return nodes, torch.stack([weight * width + 0 * start for weight in _WEIGHTS], -1)


def _running(mass: Tensor) -> Tensor:
    """Sums up to the ends of panels, from zero on: ``(…, PANELS, nodes)`` → ``(…, PANELS + 1)``."""
    return pad(mass.sum(-1).cumsum(-1), (1, 0))


def _at(table: Tensor, index: Tensor) -> Tensor:
    return table.expand(*index.shape, PANELS + 1).gather(-1, index[..., None]).squeeze(-1)
