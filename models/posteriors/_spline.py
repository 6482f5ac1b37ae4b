r"""Monotone rational-quadratic splines on [−B, B], the identity outside (Durkan et al. 2019, arXiv:1906.04032).

Between knots (x_k, y_k) and (x_{k+1}, y_{k+1}), with slopes d_k, d_{k+1} > 0 there, t = (y_{k+1} − y_k)/(x_{k+1} − x_k)
and ξ = (x − x_k)/(x_{k+1} − x_k),

    y = y_k + (y_{k+1} − y_k) (t ξ² + d_k ξ(1 − ξ)) / (t + (d_k + d_{k+1} − 2t) ξ(1 − ξ)).

Slopes at ±B are 1, so that the map is smooth. Its inverse solves a quadratic in ξ.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from models.positive import positive

BOUND = 5.0
_LEAST = 1e-3
"""The least width or height of a bin, as a share of the interval, and the least slope."""


class Spline(NamedTuple):
    """A monotone piecewise-rational function.

    x, y, slopes: places, values and slopes of the knots, ``(…, bins + 1)`` each.
    """

    x: Tensor
    y: Tensor
    slopes: Tensor

    @classmethod
    def of(cls, raw: Tensor) -> Spline:
        """From unconstrained numbers ``raw`` ``(…, 3 bins − 1)``; zeros give the identity."""
        bins = (raw.shape[-1] + 1) // 3
        widths, heights, slopes = raw.tensor_split((bins, 2 * bins), -1)
        return cls(_knots(widths), _knots(heights), pad(positive(slopes, _LEAST), (1, 1), value=1.0))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """y ``(…,)`` of x and log dy/dx."""
        (x0, y0, slope0), (x1, y1, slope1) = self._bin(self.x, x)
        mean_slope = (y1 - y0) / (x1 - x0)
        share = (x.clamp(-BOUND, BOUND) - x0) / (x1 - x0)
        y = y0 + (y1 - y0) * share * (mean_slope * share + slope0 * (1 - share)) / _denominator(
            share, mean_slope, slope0, slope1
        )
        inside = x.abs() < BOUND
        return torch.where(inside, y, x), _log_slope(share, mean_slope, slope0, slope1) * inside

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """x ``(…,)`` of y and log dy/dx."""
        (x0, y0, slope0), (x1, y1, slope1) = self._bin(self.y, y)
        mean_slope = (y1 - y0) / (x1 - x0)
        rise = y.clamp(-BOUND, BOUND) - y0
        bend = rise * (slope0 + slope1 - 2 * mean_slope)
        a = (y1 - y0) * (mean_slope - slope0) + bend
        b = (y1 - y0) * slope0 - bend
        c = -mean_slope * rise
        share = 2 * c / (-b - (b.square() - 4 * a * c).sqrt())
        inside = y.abs() < BOUND
        return torch.where(inside, x0 + share * (x1 - x0), y), _log_slope(share, mean_slope, slope0, slope1) * inside

    def _bin(self, knots: Tensor, at: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """x, y and slope at the knots to the left and to the right of ``at``."""
        index = (at[..., None] >= knots[..., 1:-1]).sum(-1, keepdim=True)
        shape = (*index.shape[:-1], knots.shape[-1])
        left = tuple(tensor.expand(shape).gather(-1, index)[..., 0] for tensor in self)
        right = tuple(tensor.expand(shape).gather(-1, index + 1)[..., 0] for tensor in self)
        return left, right


def _knots(raw: Tensor) -> Tensor:
    """Increasing knots from −B to B, ``(…, bins + 1)``."""
    shares = _LEAST + (1 - _LEAST * raw.shape[-1]) * raw.softmax(-1)
    inner = BOUND * (2 * shares.cumsum(-1)[..., :-1] - 1)
    return torch.cat([torch.full_like(inner[..., :1], -BOUND), inner, torch.full_like(inner[..., :1], BOUND)], -1)


def _denominator(share: Tensor, mean_slope: Tensor, slope0: Tensor, slope1: Tensor) -> Tensor:
    return mean_slope + (slope0 + slope1 - 2 * mean_slope) * share * (1 - share)


def _log_slope(share: Tensor, mean_slope: Tensor, slope0: Tensor, slope1: Tensor) -> Tensor:
    rest = 1 - share
    bend = slope1 * share.square() + 2 * mean_slope * share * rest + slope0 * rest.square()
    return 2 * mean_slope.log() + bend.log() - 2 * _denominator(share, mean_slope, slope0, slope1).log()
