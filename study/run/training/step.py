r"""Step: one update of stochastic variational inference as a pure function.

    (state, images, noise, β, learning rate, which side moves)  →  (state′, metrics)

The loss of a replicate is its objective over its Pyro pair, called functionally on its parameters; replicates are
mapped by ``torch.func.vmap``; the update is Adam (Kingma & Ba 2015, arXiv:1412.6980). Randomness enters only through
``noise``, so the function can be traced and repeated. Metrics are ``(3, S)``: loss, rate and distortion in nats per
image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap
from torch.utils._pytree import tree_map

from models import noise
from models.objectives import Objective, Terms
from models.pure import pure_pyro
from models.vae import VAE
from study.run.training.state import State, Tensors

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8

INFERENCE = "posterior."
"""Head of the names of the parameters that every update moves."""


class Batch(NamedTuple):
    """Inputs of one update.

    source: images ``(S, N, *image_shape)``, or ``(1, N, *image_shape)`` where the replicates share one set.
    indices: ``(S, B)`` rows of the source.
    noise: standard normal tensors ``(S, *shape)``, in the order in which the pair asks for them.
    latent_scale, learning_rate: scalars.
    generative: scalar, 1 where the update moves decoder and prior, 0 where it moves the posterior's networks alone.
    """

    source: Tensor
    indices: Tensor
    noise: list[Tensor]
    latent_scale: Tensor
    learning_rate: Tensor
    generative: Tensor

    @property
    def is_shared(self) -> bool:
        """Whether all replicates read one set of images."""
        return len(self.source) != len(self.indices)

    def images(self, replicate: int) -> Tensor:
        """The images ``(B, *image_shape)`` of one replicate."""
        return gather(self.source[0 if self.is_shared else replicate], self.indices[replicate])


class Loss(nn.Module):
    """The objective over the pair as a module: ``functional_call`` can swap its parameters, and processes share it.

    vae: the pair.
    objective: what is minimised.
    """

    def __init__(self, vae: VAE, objective: Objective) -> None:
        super().__init__()
        self.vae = vae
        self._objective = objective

    def forward(self, images: Tensor, latent_scale: Tensor) -> Terms:
        """The terms of ``images`` ``(B, *image_shape)`` with ``latent_scale`` on that of the latents."""
        return self._objective(self.vae.model, self.vae.guide, images, latent_scale)


def noise_shapes(vae: VAE, objective: Objective, images: Tensor) -> list[torch.Size]:
    """Shapes of the noise that one evaluation asks for.

    vae: the pair.
    objective: what is minimised.
    images: ``(B, *image_shape)``.
    """
    with torch.no_grad(), noise.record() as shapes, pure_pyro():
        objective(vae.model, vae.guide, images, images.new_ones(()))
    return shapes


def gather(source: Tensor, indices: Tensor) -> Tensor:
    """Rows of one replicate's images as floats, ``(B, …)``.

    source: images ``(N, …)``.
    indices: int64 ``(B,)``.
    """
    images = source.index_select(0, indices)
    return images if images.is_floating_point() else images.float()


def _unmapped[Result](function: Callable[..., Result]) -> Callable[..., Result]:
    """``vmap`` over a leading dimension of size one, without mapping."""

    def mapped(*arguments: Any) -> Result:
        result = function(*tree_map(lambda tensor: tensor[0], arguments))
        return tree_map(lambda tensor: tensor[None], result)

    return mapped


class PureStep:
    """The update of S replicates of one VAE structure.

    vae: lends its structure, never its values.
    objective: what is minimised.
    bf16: whether networks run in bfloat16.
    """

    def __init__(self, vae: VAE, objective: Objective, *, bf16: bool = False) -> None:
        self._loss = Loss(vae, objective)
        self._device_type = next(vae.parameters()).device.type
        self._bf16 = bf16

    def _terms(
        self, parameters: Tensors, buffers: Tensors, images: Tensor, draws: Sequence[Tensor], latent_scale: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor, Tensors]]:
        tensors = {f"vae.{name}": tensor for name, tensor in (parameters | buffers).items()}
        # bf16 is asked for by autocast, whose own weight cache would leak traced tensors between calls.
        autocast = torch.autocast(self._device_type, torch.bfloat16, enabled=self._bf16, cache_enabled=False)
        with noise.replay(draws), pure_pyro(), autocast:
            terms = functional_call(self._loss, tensors, (images, latent_scale))
        updated = {name: tensors[f"vae.{name}"].detach() for name in buffers}
        return terms.loss, (terms.rate.mean(), terms.distortion.mean(), updated)

    def gradients(self, state: State, batch: Batch) -> tuple[Tensors, Tensors, Tensor]:
        """Gradients by name ``(S, *shape)``, the buffers after the pass, and the metrics ``(3, S)``.

        state: where they are taken.
        batch: on what.
        """

        def one(
            parameters: Tensors, buffers: Tensors, source: Tensor, indices: Tensor, draws: list[Tensor]
        ) -> tuple[Tensors, tuple[Tensor, tuple[Tensor, Tensor, Tensors]]]:
            images = gather(source, indices)
            return grad_and_value(self._terms, has_aux=True)(parameters, buffers, images, draws, batch.latent_scale)

        source, over_source = (batch.source[0], None) if batch.is_shared else (batch.source, 0)
        if len(batch.indices) == 1:
            # One replicate needs no map, so parts that cannot be mapped still trace, and products stay plain GEMMs.
            mapped = _unmapped(one)
            source = batch.source
        else:
            mapped = vmap(one, in_dims=(0, 0, over_source, 0, 0))
        gradients, (loss, (rate, distortion, buffers)) = mapped(
            state.parameters, state.buffers, source, batch.indices, batch.noise
        )
        return gradients, buffers, torch.stack([loss, rate, distortion]).detach()

    def __call__(self, state: State, batch: Batch) -> tuple[State, Tensor]:
        """The state after one Adam update, and the metrics ``(3, S)`` at the state before it.

        Parameters that do not move keep their moments; Adam's count is that of all updates.
        """
        gradients, buffers, metrics = self.gradients(state, batch)
        count = state.count + 1
        # By the exponential, whose result the compiler for processors keeps. A power it would compute for each weight.
        correction_1, correction_2 = (1 - torch.exp(math.log(beta) * count) for beta in (BETA_1, BETA_2))
        step, scale = batch.learning_rate / correction_1, correction_2.rsqrt()
        parameters, first, second = {}, {}, {}
        for name, gradient in gradients.items():
            first[name] = state.exp_avg[name].lerp(gradient, 1 - BETA_1)
            second[name] = BETA_2 * state.exp_avg_sq[name] + (1 - BETA_2) * gradient.square()
            parameters[name] = state.parameters[name] - step * first[name] / (second[name].sqrt() * scale + EPSILON)
            if not name.startswith(INFERENCE):
                for new, old in ((parameters, state.parameters), (first, state.exp_avg), (second, state.exp_avg_sq)):
                    new[name] = torch.where(batch.generative > 0, new[name], old[name])
        return State(parameters, first, second, buffers, count), metrics
