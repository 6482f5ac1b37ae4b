r"""State: the tensors that training carries from step to step, stacked over replicates.

``parameters``, their first and second Adam moments and the buffers each have shape ``(S, *shape)`` for S replicates;
``count`` is the number of updates made. Flattened, the names are ``parameters/likelihood.decoder.1.weight`` and so on,
which are also the names in a checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from study.store.reading import Corrupt

Tensors = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class State:
    """State of S replicates between two updates; see the module for shapes.

    parameters: by name.
    exp_avg: first Adam moments, by name.
    exp_avg_sq: second Adam moments, by name.
    buffers: by name.
    count: updates made, 0-d float64.
    """

    parameters: Tensors
    exp_avg: Tensors
    exp_avg_sq: Tensors
    buffers: Tensors
    count: Tensor

    @classmethod
    def initial(cls, modules: Sequence[nn.Module]) -> State:
        """The state before the first update of ``modules``, which share one structure."""
        named = [dict(module.named_parameters()) for module in modules]
        parameters = {name: torch.stack([p[name].detach() for p in named]) for name in named[0]}
        buffered = [dict(module.named_buffers()) for module in modules]
        return cls(
            parameters,
            {name: torch.zeros_like(p) for name, p in parameters.items()},
            {name: torch.zeros_like(p) for name, p in parameters.items()},
            {name: torch.stack([b[name].detach() for b in buffered]) for name in buffered[0]},
            # Double, so that bias corrections 1 − 0.999ᵗ keep their digits at small t.
            torch.zeros((), dtype=torch.float64, device=next(modules[0].parameters()).device),
        )

    def flat(self) -> Tensors:
        """All tensors by name; the tensors are shared, not copied."""
        groups = {
            "parameters": self.parameters,
            "exp_avg": self.exp_avg,
            "exp_avg_sq": self.exp_avg_sq,
            "buffers": self.buffers,
        }
        return {f"{g}/{n}": t for g, tensors in groups.items() for n, t in tensors.items()} | {"count": self.count}

    def copy_from(self, flat: Tensors) -> None:
        """Overwrites this state with the tensors of a checkpoint; names, shapes and types must agree (Corrupt)."""
        tensors = self.flat()
        if {name: (t.shape, t.dtype) for name, t in tensors.items()} != {
            n: (t.shape, t.dtype) for n, t in flat.items()
        }:
            raise Corrupt("the checkpoint is of another configuration")
        for name, tensor in tensors.items():
            tensor.copy_(flat[name])

    def clone(self) -> State:
        """A copy that shares no memory."""

        def copy(group: Tensors) -> Tensors:
            return {name: tensor.clone() for name, tensor in group.items()}

        groups = copy(self.parameters), copy(self.exp_avg), copy(self.exp_avg_sq), copy(self.buffers)
        return State(*groups, self.count.clone())

    def write_to(self, modules: Sequence[nn.Module]) -> None:
        """Copies each replicate's parameters and buffers into its module."""
        with torch.no_grad():
            for index, module in enumerate(modules):
                for name, parameter in module.named_parameters():
                    parameter.copy_(self.parameters[name][index])
                for name, buffer in module.named_buffers():
                    buffer.copy_(self.buffers[name][index])
