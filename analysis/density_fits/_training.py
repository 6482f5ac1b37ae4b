"""Training of a density by maximum likelihood (or its lower bound) with early stopping on codes held out for that."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from analysis.density_fits._base import DensityRefused
from analysis.randomness import seeded

CODES_PER_BLOCK = 1024


class Standardisation(NamedTuple):
    """Location and scale of each dimension: z = mean + scale · y.

    mean: float64 ``(D,)``.
    scale: standard deviations, float64 ``(D,)``.
    """

    mean: Tensor
    scale: Tensor

    @classmethod
    def of(cls, z: Tensor) -> Standardisation:
        """Those of the codes ``z`` ``(N, D)``; constant dimensions are refused."""
        values = z.double()
        scale = values.std(0, correction=0)
        constant = int((scale == 0).sum())
        if constant or not bool(scale.isfinite().all()):
            raise DensityRefused(
                f"{constant} of {z.shape[1]} dimensions are constant over the codes or some are not finite, so no "
                "density exists: drop them"
            )
        return cls(values.mean(0), scale)

    def standardise(self, z: Tensor) -> Tensor:
        """y in float64."""
        return (z.double() - self.mean) / self.scale

    def restore(self, y: Tensor) -> Tensor:
        """z in float64."""
        return self.mean + self.scale * y

    @property
    def log_volume(self) -> Tensor:
        """Σ_d log scale_d, which log-densities of y exceed those of z by."""
        return self.scale.log().sum()


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """How a network is fitted.

    learning_rate: Adam's step, positive.
    batch_size: codes per step, at least 1.
    max_epochs: passes over the codes at most.
    patience: epochs without a better held-out loss after which to stop, at least 1.
    """

    learning_rate: float
    batch_size: int
    max_epochs: int
    patience: int


def seeded_module[Module: nn.Module](build: Callable[[], Module], generator: torch.Generator) -> Module:
    """A module in float32; the process-wide generator is left alone.

    Args:
        build: makes the module.
        generator: of its initial weights.
    """
    with seeded(generator, "cpu"):
        return build().float()


def num_weights(module: nn.Module) -> int:
    """Number of weights of ``module``."""
    return sum(parameter.numel() for parameter in module.parameters())


@torch.enable_grad()  # measurement runs without gradients, and a fit is part of it
def train[Module: nn.Module](
    module: Module,
    loss: Callable[[Module, Tensor], Tensor],
    codes: Tensor,
    choice: Tensor,
    generator: torch.Generator,
    options: TrainingOptions,
) -> tuple[Module, int, tuple[str, ...]]:
    """Minimises the mean loss over codes, until it has not fallen on others for a while.

    Args:
        module: what is trained.
        loss: ``loss(module, y)`` ``(B,)`` of a batch ``y`` ``(B, D)`` of codes.
        codes: standardised codes of training images, ``(N, D)``.
        choice: those of images held out for the choice of the epoch, ``(M, D)``.
        generator: of the order of the codes.
        options: how it is fitted.

    Returns:
        The module at the epoch of lowest loss on ``choice``, in float64 without gradients; that epoch; and a flag where
        training ended before it would have stopped.

    Raises:
        DensityRefused: if the loss is not finite.
    """
    codes, choice = codes.float(), choice.float()
    module.to(codes.device)
    optimiser = torch.optim.Adam(module.parameters(), lr=options.learning_rate, fused=True)
    best, best_epoch, best_weights = math.inf, 0, copy.deepcopy(module.state_dict())
    for epoch in range(1, options.max_epochs + 1):
        order = torch.randperm(len(codes), generator=generator, device=generator.device).to(codes.device)
        for batch in order.split(options.batch_size):
            optimiser.zero_grad(set_to_none=True)
            loss(module, codes[batch]).mean().backward()
            optimiser.step()
        score = _mean_loss(module, loss, choice)
        if not math.isfinite(score):
            raise DensityRefused(f"training diverged in epoch {epoch}: lower learning_rate")
        if score < best:
            best, best_epoch, best_weights = score, epoch, copy.deepcopy(module.state_dict())
        if epoch - best_epoch >= options.patience:
            break
    stopped = epoch - best_epoch >= options.patience
    module.load_state_dict(best_weights)
    flags = () if stopped else (f"still improving after {options.max_epochs} epochs",)
    return module.double().requires_grad_(False).eval(), best_epoch, flags


@torch.no_grad()
def _mean_loss[Module: nn.Module](module: Module, loss: Callable[[Module, Tensor], Tensor], y: Tensor) -> float:
    return float(torch.cat([loss(module, block).double() for block in blocks(y)]).mean())


def blocks(y: Tensor) -> Iterator[Tensor]:
    """Rows of ``y``, few enough at a time for a network's activations."""
    yield from y.split(CODES_PER_BLOCK)
