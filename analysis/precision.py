r"""Distributions in float64: log-densities of high-dimensional latents without float32 sums.

A log-density over D dimensions is a sum of D terms whose rounding error in float32 grows with D (half a nat at
D = 65,536 for a sequential sum), while KL and mutual information are differences of such sums. A distribution is
therefore copied with every floating-point parameter cast to float64, the draws are cast too, and the log-density is
evaluated and accumulated in float64 throughout. The parameters keep the values they had in float32: the density
evaluated is that of the stored parameters, exactly, and not of the numbers they were rounded from.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Transform

ELEMENTS_PER_BLOCK = 2**24  # 128 MiB of float64 latents at a time


def to_float64(value: Any) -> Any:
    """A copy of a distribution, transform, module, tensor or container of them with float64 parameters, detached."""
    match value:
        case Tensor():
            return value.detach().to(torch.float64) if value.is_floating_point() else value
        case nn.Module():
            return copy.deepcopy(value).to(torch.float64)
        case Distribution() | Transform():
            twin = copy.copy(value)
            twin.__dict__.update({name: to_float64(attribute) for name, attribute in vars(value).items()})
            return twin
        case list() | tuple() if type(value) in {list, tuple}:
            return type(value)(to_float64(item) for item in value)
        case dict():
            return {key: to_float64(item) for key, item in value.items()}
        case _:
            return value


@torch.no_grad()
def log_prob_float64(distribution: Distribution, z: Tensor) -> Tensor:
    """Log-density ``(M,)`` (nats, float64) of draws.

    Args:
        distribution: of batch shape ``()``.
        z: draws, ``(M, *event)``.

    Raises:
        ValueError: if the distribution's own code returns less than float64, because its sum was rounded.
    """
    twin = to_float64(distribution)
    per_draw = max(z[:1].numel(), 1)
    blocks = [twin.log_prob(block.to(torch.float64)) for block in z.split(max(ELEMENTS_PER_BLOCK // per_draw, 1))]
    log_prob = torch.cat(blocks)
    if log_prob.dtype != torch.float64 or log_prob.shape != z.shape[:1]:
        raise ValueError(
            f"expected one float64 log-density per draw, shape ({len(z)},); {type(distribution).__name__} gave "
            f"{log_prob.dtype} of shape {tuple(log_prob.shape)}: pass a distribution over the whole latent shape whose "
            "log_prob follows the dtype of its input"
        )
    return log_prob
