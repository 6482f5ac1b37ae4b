r"""Monotonic rational-quadratic spline on [−B, B], the identity beyond (Durkan et al. 2019, arXiv:1906.04032).

Between the knots (x_k, y_k) and (x_{k+1}, y_{k+1}) with slopes δ, z = (x − x_k)/w_k and s = h_k/w_k,

    τ(x) = y_k + h_k [s z² + δ_k z(1 − z)] / q,    q = s + (δ_k + δ_{k+1} − 2s) z(1 − z),
    τ′(x) = s² [δ_{k+1} z² + 2s z(1 − z) + δ_k (1 − z)²] / q².

These are the values of zuko's transform. There the bins are the last dimension, of eight numbers or so, over which
torch runs a softmax, a sum or a search one row at a time; here they are the first, so that each runs along all points
at once.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Transform, constraints

BOUND = 5.0
LEAST_SLOPE = 1e-3


class Spline(Transform):
    """τ of every element of an input.

    Args:
        widths: unconstrained widths of the K bins, ``(*, K)``.
        heights: unconstrained heights, ``(*, K)``.
        slopes: unconstrained slopes at the inner knots, ``(*, K − 1)``.
    """

    domain = constraints.real
    codomain = constraints.real
    bijective = True
    sign = +1

    def __init__(self, widths: Tensor, heights: Tensor, slopes: Tensor) -> None:
        super().__init__()
        self._widths, self._left = _bins(widths)
        self._heights, self._lower = _bins(heights)
        # Slopes at both ends are those of the identity.
        self._slopes = torch.nn.functional.pad(_softly_bounded(slopes, 1), (0, 0) * (slopes.ndim - 1) + (1, 1)).exp()

    def _call(self, x: Tensor) -> Tensor:
        return self.call_and_ladj(x)[0]

    def call_and_ladj(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """τ(x) and log τ′(x), both of the shape of ``x``."""
        inside, left, lower, width, height, first, second = self._bin(self._left, x)
        z = torch.where(inside, x - left, 0) / width
        secant = height / width
        mixed = z * (1 - z)
        quotient = secant + (first + second - 2 * secant) * mixed
        y = lower + height * (secant * z.square() + first * mixed) / quotient
        slope = (2 * secant * mixed + first * (1 - z).square() + second * z.square()) * (secant / quotient).square()
        return torch.where(inside, y, x), torch.where(inside, slope, 1).log()

    def _inverse(self, y: Tensor) -> Tensor:
        inside, left, lower, width, height, first, second = self._bin(self._lower, y)
        rise = torch.where(inside, y - lower, 0)
        secant = height / width
        excess = rise * (first + second - 2 * secant)
        a, b, c = height * (secant - first) + excess, height * first - excess, -secant * rise
        z = -2 * c / (b + (b.square() - 4 * a * c).sqrt())
        return torch.where(inside, left + z * width, y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """log τ′(x), of ``x`` alone: ``y`` is τ(x)."""
        return self.call_and_ladj(x)[1]

    def _bin(self, knots: Tensor, value: Tensor) -> tuple[Tensor, ...]:
        """Whether values lie within the bounds; and of their bins the left and the lower end, width, height, and the
        slopes at both ends."""
        bin_ = (_for_each(knots[1:], value) < value).sum(0, keepdim=True)
        parts = (self._left, self._lower, self._widths, self._heights)
        chosen = [(part, bin_) for part in parts] + [(self._slopes, bin_), (self._slopes, bin_ + 1)]
        return value.abs() < BOUND, *(_for_each(part, value).gather(0, index).squeeze(0) for part, index in chosen)


def _for_each(part: Tensor, value: Tensor) -> Tensor:
    """Numbers of the bins ``(K, *)`` of each element of ``value``, ``(K, *value.shape)``."""
    absent = (None,) * (value.ndim + 1 - part.ndim)
    return part[:, *absent].expand(-1, *value.shape)


def _bins(free: Tensor) -> tuple[Tensor, Tensor]:
    """Sizes and lower ends of the bins on [−B, B], ``(K, *)`` both."""
    shares = _softly_bounded(free, 2).softmax(0)
    before = torch.ones(len(shares), len(shares), dtype=free.dtype, device=free.device).tril(-1)
    ends = (before @ shares.flatten(1)).view_as(shares)
    return 2 * BOUND * shares, BOUND * (2 * ends - 1)


def _softly_bounded(free: Tensor, times: int) -> Tensor:
    """Numbers of at most ln(1/``LEAST_SLOPE``)/``times`` in size, the last dimension first."""
    first = free.movedim(-1, 0).contiguous()
    return first / (1 + (times / -math.log(LEAST_SLOPE)) * first.abs())
