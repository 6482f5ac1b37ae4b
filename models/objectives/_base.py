"""Objective: the author's recipe for a loss over a Pyro model/guide pair."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

from torch import Tensor


class Terms(NamedTuple):
    """What one evaluation of an objective gives: the scalar to minimise, and per-image parts ``(B,)`` in nats."""

    loss: Tensor
    rate: Tensor
    distortion: Tensor


class Objective(ABC):
    """A pure function of the pair's traces: no state, no ``.item()``, no branch on a tensor's value."""

    reference: ClassVar[str] = ""

    @abstractmethod
    def __call__(self, model: Callable[..., Any], guide: Callable[..., Any], images: Tensor, *args: Any) -> Terms:
        """Runs guide and model once on ``images`` ``(B, *image_shape)``; further arguments go to both."""
