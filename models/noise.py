"""Noise: the one place where reparameterised parts draw their random numbers.

A training step must be a pure function of its noise, so that it can be traced into a graph, mapped over replicates and
resumed bit for bit. Parts call :func:`standard_normal`; outside a step it is ``torch.randn``. A step first *records*
which shapes one pass asks for, and from then on *replays* tensors that it was given.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

import torch
from torch import Tensor


class Noise(Protocol):
    """Gives a standard normal tensor of the asked shape, like ``like`` in type and device."""

    def __call__(self, shape: torch.Size, like: Tensor) -> Tensor:  # noqa: D102
        ...


def _fresh(shape: torch.Size, like: Tensor) -> Tensor:
    return torch.randn(shape, dtype=like.dtype, device=like.device)


_current: ContextVar[Noise] = ContextVar("noise", default=_fresh)


def standard_normal(shape: torch.Size, like: Tensor) -> Tensor:
    """Draws of N(0, 1) of the given ``shape``, with the type and device of ``like``.

    >>> with record() as shapes:
    ...     first = standard_normal(torch.Size([2, 3]), torch.zeros(()))
    >>> shapes
    [torch.Size([2, 3])]
    >>> with replay([first]):
    ...     again = standard_normal(torch.Size([2, 3]), torch.zeros(()))
    >>> torch.equal(first, again)
    True
    """
    return _current.get()(shape, like)


@contextmanager
def record() -> Iterator[list[torch.Size]]:
    """Collects the shapes asked for within the block, in order."""
    shapes: list[torch.Size] = []

    def recorder(shape: torch.Size, like: Tensor) -> Tensor:
        shapes.append(torch.Size(shape))
        return _fresh(shape, like)

    token = _current.set(recorder)
    try:
        yield shapes
    finally:
        _current.reset(token)


@contextmanager
def replay(tensors: Sequence[Tensor]) -> Iterator[None]:
    """Hands out ``tensors`` in order to the draws within the block; a mismatch in number or shape is an error."""
    remaining = iter(tensors)

    def player(shape: torch.Size, like: Tensor) -> Tensor:
        tensor = next(remaining, None)
        if tensor is None or tensor.shape != torch.Size(shape):
            actual = "none left" if tensor is None else f"{tuple(tensor.shape)}"
            raise RuntimeError(f"the step asked for noise of shape {tuple(shape)}; the recorded pass gave {actual}")
        return tensor.to(like.dtype)

    token = _current.set(player)
    try:
        yield
    finally:
        _current.reset(token)
    if next(remaining, None) is not None:
        raise RuntimeError("the step drew less noise than the recorded pass")
