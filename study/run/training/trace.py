"""Trace: a function of tensors as the graph of its operations, each in the form that is fast where it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx

from study.run.training.products import FUSED, SINGLE


def trace(function: Callable[..., Any], inputs: Sequence[Tensor], *, fused: bool) -> GraphModule:
    """The graph of what ``function`` does with ``inputs``, which it neither computes nor changes.

    function: of tensors.
    inputs: they tell shapes, types and device.
    fused: whether a compiler joins neighbouring operations of the graph.

    >>> print(trace(lambda x: x + 1, [torch.zeros(2)], fused=False)(torch.ones(2)))
    tensor([2., 2.])
    """
    forms = None if any(tensor.is_cuda for tensor in inputs) else FUSED if fused else SINGLE
    with torch.no_grad():
        try:
            return make_fx(function, forms, tracing_mode="fake")(*inputs)
        except (RuntimeError, ValueError):
            if forms is None:
                raise
        # A form may store its result in another order than torch's, which a view by somebody else's network excludes.
        return make_fx(function, tracing_mode="fake")(*inputs)
