r"""Inverse of masked autoregressive transforms at the cost of one pass through their networks.

A step y ↦ u of an autoregressive flow is u_d = τ(y_d; φ_d(y_<d)) with the φ of all d from one masked network (Germain
et al. 2015, arXiv:1502.03509; Papamakarios et al. 2017, arXiv:1705.07057). Its inverse finds the y_d in order,
y_d = τ⁻¹(u_d; φ_d(y_<d)). Evaluating the whole network for each takes D passes, of which all but one repeat what is
known: a hidden unit reads dimensions before some d alone, so that it is final as soon as those are found. Here every
unit is evaluated once, when the last dimension that it reads has been found.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def inverse(flow: Any, noise: Tensor) -> Tensor:
    """Codes y ``(M, D)`` that a flow maps to given noise, in the dtype of both.

    Args:
        flow: zuko's, y ↦ noise, whose steps are masked autoregressive transforms.
        noise: ``(M, D)``.
    """
    for step in reversed(flow.transform.transforms):
        noise = _inverse_step(step, noise)
    return noise


def _inverse_step(step: Any, noise: Tensor) -> Tensor:
    if not hasattr(step, "hyper"):  # of one dimension, which depends on none before it
        return step().inv(noise)
    # Units are rows, so that those of one turn are contiguous.
    y = torch.zeros_like(noise.T)
    turns = step.order + 1  # before which turn a dimension is found
    modules = list(step.hyper)
    layers, activations = modules[::2], modules[1::2]
    weights = [layer.mask * layer.weight for layer in layers]
    values, due = [y], []
    for layer in layers[:-1]:
        turns = (layer.mask * turns).amax(1)
        due.append(turns)
        values.append(y.new_zeros(len(turns), len(noise)))
    for turn in range(step.passes):
        for depth, activation in enumerate(activations):
            units = (due[depth] == turn).nonzero().squeeze(1)
            values[depth + 1][units] = activation(_rows(layers[depth], weights[depth], units, values[depth]))
        dimensions = (step.order == turn).nonzero().squeeze(1)
        outputs = (dimensions[:, None] * step.total + torch.arange(step.total, device=y.device)).flatten()
        phi = _rows(layers[-1], weights[-1], outputs, values[-1]).T.unflatten(1, (len(dimensions), step.total))
        sizes = [shape.numel() for shape in map(torch.Size, step.shapes)]
        parts = (
            part.unflatten(-1, shape) if shape else part.squeeze(-1)
            for part, shape in zip(phi.split(sizes, -1), step.shapes, strict=True)
        )
        y[dimensions] = step.univariate(*parts).inv(noise[:, dimensions]).T
    return y.T


def _rows(layer: nn.Linear, weight: Tensor, rows: Tensor, values: Tensor) -> Tensor:
    """Some of the units of a layer, ``(units, M)``, of all its inputs ``(inputs, M)``."""
    return torch.addmm(layer.bias[rows][:, None], weight[rows], values)
