r"""Exact log-density of a diagonal Gaussian mixture at many points, streamed over its components.

For points z_m and components N(μ_n, diag σ²_n) in D dimensions the object is the log-sum

    ℓ_m = log Σ_n exp(−½ Q_mn − Σ_d ln σ_nd − ½ D ln 2π),    Q_mn = Σ_d (z_md/σ_nd − μ_nd/σ_nd)²,

by one of three ways to the sums Q, one per file: a compiled kernel for float32 on the CPU, products of float64 matrices
for float32 on a GPU, and differences in float64 for everything else.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.distributions import Normal

from analysis.pairwise._base import RunningSum
from analysis.pairwise.differences import TILE_ELEMENTS, Differences
from analysis.pairwise.kernel import Kernel
from analysis.pairwise.products import Products

__all__ = ["mixture_log_density", "normal_log_density"]

Block = tuple[Tensor, Tensor]


def mixture_log_density(
    points: Tensor, blocks: Iterable[Block], exclude: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Log-sum of the component densities at each point, over all components and over all but the excluded one.

    Args:
        points: ``(M, D)``, finite.
        blocks: pairs (loc, scale), each ``(n, D)``, of the points' dtype and device; read once, one pair at a time.
        exclude: int64 ``(M,)``, index (in order of the blocks) of the component left out of the second sum, −1: none.

    Returns:
        Two float64 tensors ``(M,)`` in nats, not divided by the number of components. The excluded component is kept
        apart from the others while summing and never subtracted. No gradient is recorded. In float32 a component
        further than about 1e19 scales away counts as −inf.

    Raises:
        ValueError: points or locations not finite, scales not positive and finite, shapes, dtypes, devices or indices
            that do not fit, or no components.
    """
    points = points.detach()
    if points.ndim != 2 or points.numel() == 0 or not points.is_floating_point():
        raise ValueError(f"points must be floating point (M, D), M, D ≥ 1; got {points.dtype} {tuple(points.shape)}")
    _require_finite("points", points)
    excluded = torch.full((len(points),), -1, device=points.device) if exclude is None else exclude.to(points.device)
    if excluded.dtype != torch.int64 or excluded.shape != points.shape[:1] or bool((excluded < -1).any()):
        kind = f"{excluded.dtype} {tuple(excluded.shape)}"
        raise ValueError(f"exclude must be int64 ({len(points)},) with entries ≥ −1; got {kind}")
    remainder = running_sum(points)
    excluded_log = torch.full((len(points),), -math.inf, dtype=torch.float64, device=points.device)
    count = 0
    for block in blocks:
        loc, scale = _checked(block, points)
        remainder.add(loc, scale, excluded - count)
        here = ((excluded >= count) & (excluded < count + len(loc))).nonzero().squeeze(-1)
        rows = excluded[here] - count
        excluded_log[here] = normal_log_density(points[here], loc[rows], scale[rows])
        count += len(loc)
    if count == 0:
        raise ValueError("blocks must yield at least one component; got none: pass an iterable that is not exhausted")
    if int(excluded.max()) >= count:
        raise ValueError(f"exclude must lie below the number of components, {count}; got {int(excluded.max())}")
    without = remainder.result()
    return torch.logaddexp(without, excluded_log), without


def normal_log_density(points: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    """log N(z; μ, diag σ²) ``(M,)`` in nats, float64, of ``points``, ``loc`` and ``scale`` ``(M, D)``, row by row."""
    rows = max(1, TILE_ELEMENTS // points.shape[1])
    parts = zip(points.split(rows), loc.split(rows), scale.split(rows), strict=True)
    logs = [Normal(m.double(), s.double(), validate_args=False).log_prob(z.double()).sum(-1) for z, m, s in parts]
    return torch.cat(logs)


def _require_finite(name: str, tensor: Tensor) -> tuple[float, float]:
    low, high = (float(bound) for bound in tensor.aminmax())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(
            f"{name} must be finite; got values in [{low}, {high}]: look for overflow where it is computed"
        )
    return low, high


def _checked(block: Block, points: Tensor) -> Block:
    loc, scale = block[0].detach(), block[1].detach()
    for name, tensor in (("loc", loc), ("scale", scale)):
        if tensor.shape != loc.shape or tensor.ndim != 2 or tensor.shape[1] != points.shape[1] or len(tensor) == 0:
            raise ValueError(
                f"loc and scale must both be (n, {points.shape[1]}) with n ≥ 1; got {name} {tuple(tensor.shape)}"
            )
        if tensor.dtype != points.dtype or tensor.device != points.device:
            raise ValueError(
                f"{name} must have the points' dtype and device, {points.dtype} on {points.device}; "
                f"got {tensor.dtype} on {tensor.device}: convert one with .to()"
            )
        low, _ = _require_finite(name, tensor)
    tiny = torch.finfo(scale.dtype).tiny
    if low < tiny:
        raise ValueError(f"scale must be positive (at least {tiny:.1e} in {scale.dtype}); got {low}")
    return loc, scale


def running_sum(points: Tensor) -> RunningSum:
    """The running sum that suits the dtype and device of ``points`` ``(M, D)``."""
    if points.dtype != torch.float32:
        return Differences(points)
    return Products(points) if points.is_cuda else Kernel(points)
