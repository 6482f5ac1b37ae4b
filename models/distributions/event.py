r"""EventDistribution: a distribution over events of any shape whose author writes a density and a draw for vectors.

An event of shape ``event_shape`` is read as the vector of its D elements: log p(event) = ``log_density(vector)``.
Points broadcast against the batch as everywhere in torch: with a batch of n distributions, points
``(M, 1, *event_shape)`` have log-densities ``(M, n)``.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Self

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints


class EventDistribution(TorchDistribution):
    """Base of the distributions in this project that torch and Pyro do not have.

    batch_shape: shape of the batch of distributions, ``()`` for one.
    event_shape: shape of an event, such as a latent shape or an image shape.

    A subclass sets its parameters and then calls this constructor. It says in ``tensors`` which of them begin with the
    batch shape, and in ``has_rsample`` whether its draws carry gradients. Inside :meth:`log_density` and :meth:`draw`
    no autocast is active.

    >>> class Exponential(EventDistribution):
    ...     tensors = ("rate",)
    ...     elements = constraints.nonnegative
    ...     def __init__(self, rate, event_shape):
    ...         self.rate = rate
    ...         super().__init__(rate.shape[:-1], event_shape)
    ...     def log_density(self, z):
    ...         return (self.rate.log() - self.rate * z).sum(-1)
    ...     def draw(self, shape):
    ...         return -torch.rand(*shape, self.rate.shape[-1]).log() / self.rate
    >>> waiting = Exponential(torch.ones(3, 4), (2, 2))  # three distributions over events of shape (2, 2)
    >>> waiting.sample((5,)).shape
    torch.Size([5, 3, 2, 2])
    >>> waiting.log_prob(torch.ones(2, 2))
    tensor([-4., -4., -4.])
    """

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {}
    has_rsample = False
    tensors: ClassVar[tuple[str, ...]] = ()
    """Names of the parameters that begin with the batch shape, ``(*batch_shape, …)``."""
    elements: ClassVar[constraints.Constraint] = constraints.real
    """Set of values of each element of an event."""

    def __init__(self, batch_shape: Sequence[int], event_shape: Sequence[int]) -> None:
        super().__init__(torch.Size(batch_shape), torch.Size(event_shape), validate_args=False)

    @abstractmethod
    def log_density(self, z: Tensor) -> Tensor:
        """Log-density in nats of vectors ``z`` ``(…, D)``, their leading dimensions broadcast against the batch."""

    @abstractmethod
    def draw(self, shape: torch.Size) -> Tensor:
        """Independent vectors ``(*shape, D)``; ``shape`` ends with the batch shape.

        Where ``has_rsample`` holds they are a function of :mod:`models.noise`; elsewhere they are drawn without
        gradient.
        """

    @property
    def like(self) -> Tensor:
        """A parameter, which lends its type and device; the first of ``tensors`` unless a subclass says otherwise."""
        return getattr(self, self.tensors[0])

    @constraints.dependent_property
    def support(self) -> constraints.Constraint:
        """Events whose elements satisfy ``elements``."""
        return constraints.independent(self.elements, len(self.event_shape))

    def expand(self, batch_shape: Sequence[int], _instance: object = None) -> Self:
        """The same distributions for a ``batch_shape`` that the present one broadcasts to."""
        twin, new_shape = copy.copy(self), torch.Size(batch_shape)
        for name in self.tensors:
            tensor = getattr(self, name)
            setattr(twin, name, tensor.expand(new_shape + tensor.shape[len(self.batch_shape) :]))
        twin._batch_shape = new_shape
        return twin

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density in nats, ``(…,)``, of events ``value`` ``(…, *event_shape)``."""
        # A density summed from bf16 products would be off by whole nats, so an autocast is kept out.
        with torch.autocast(value.device.type, enabled=False):
            return self.log_density(value.flatten(value.dim() - len(self.event_shape)))

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draws ``(*sample_shape, *batch_shape, *event_shape)`` with gradient; NotImplementedError without any."""
        if not self.has_rsample:
            raise NotImplementedError(f"draws of {type(self).__name__} have no gradient; use sample")
        return self._draw_events(sample_shape)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draws ``(*sample_shape, *batch_shape, *event_shape)`` without gradient."""
        with torch.no_grad():
            return self.rsample(sample_shape) if self.has_rsample else self._draw_events(sample_shape)

    def shaped(self, vectors: Tensor) -> Tensor:
        """``vectors`` ``(*batch_shape, D)`` as events ``(*batch_shape, *event_shape)``."""
        return vectors.reshape(self.batch_shape + self.event_shape)

    def _draw_events(self, sample_shape: Sequence[int]) -> Tensor:
        shape = torch.Size(sample_shape) + self.batch_shape
        with torch.autocast(self.like.device.type, enabled=False):
            return self.draw(shape).reshape(shape + self.event_shape)
