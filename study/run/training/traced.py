r"""TracedEngine: the gradients traced once into one graph of tensor operations, which is run as it is, and fused Adam.

An update by Pyro spends most of its time in Python where networks are small: handlers, distributions, the record for
``backward``. The trace leaves the operations alone. It takes a fraction of a second, where a compiler takes several,
and pays after about a thousand updates; what the compiler saves beyond it are the calls of the operations themselves.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from models.objectives import Objective
from models.vae import VAE
from study.run.training.adam import Adam
from study.run.training.state import State, Tensors
from study.run.training.step import Batch, PureStep
from study.run.training.trace import trace


class TracedEngine:
    """Runs the traced gradients, and updates the state in place.

    vae: lends its structure, never its values.
    objective: what is minimised.
    state: what each update overwrites.
    batch: what each update reads.
    bf16: whether networks run in bfloat16.
    """

    name = "traced"

    def __init__(self, vae: VAE, objective: Objective, state: State, batch: Batch, *, bf16: bool = False) -> None:
        step = PureStep(vae, objective, bf16=bf16)
        self._state, self._batch = state, batch
        self._inputs, layout = tree_flatten((state.parameters, state.buffers, tuple(batch)))

        def gradients(*tensors: Tensor) -> tuple[Tensors, Tensors, Tensor]:
            parameters, buffers, parts = tree_unflatten(list(tensors), layout)
            return step.gradients(replace(state, parameters=parameters, buffers=buffers), Batch(*parts))

        self._run = trace(gradients, self._inputs, fused=False)
        self._adam = Adam(state.parameters, state.exp_avg, state.exp_avg_sq, state.count)

    def step(self) -> Tensor:
        """One update of every replicate from the batch; the metrics ``(3, S)`` of the state before it."""
        with torch.no_grad():
            gradients, buffers, metrics = cast("tuple[Tensors, Tensors, Tensor]", self._run(*self._inputs))
            for name, new in buffers.items():
                self._state.buffers[name].copy_(new)
            for name, parameter in self._state.parameters.items():
                # Fused Adam reads gradients in the order of the parameter's memory, whatever their strides say.
                parameter.grad = gradients[name].contiguous()
            self._adam.step(self._batch.learning_rate, generative=bool(self._batch.generative))
            self._state.count.add_(1)
        return metrics
