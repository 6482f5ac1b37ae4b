"""RunningSum: the log-sum of components that come in blocks, at points that stay."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor


class RunningSum(ABC):
    """Log of the sum of the densities of all components so far, at each point."""

    @abstractmethod
    def add(self, loc: Tensor, scale: Tensor, excluded: Tensor) -> None:
        """Adds a block of components.

        Args:
            loc: μ, ``(n, D)``.
            scale: σ, ``(n, D)``.
            excluded: int64 ``(M,)``, for each point the row of this block that is left out; any other number: none.
        """

    @abstractmethod
    def result(self) -> Tensor:
        """The log-sum, float64 ``(M,)``, in nats."""
