r"""FlowPrior: p(z) = N(f(z); 0, I) |det ∂f/∂z| with f an invertible map made of learned steps, as zuko builds them.

f starts as the identity, so that training starts from N(0, I): the last layer of each step's network starts at zero.
Density and gradient take one pass; only a draw, z = f⁻¹(ε), inverts.
"""

from __future__ import annotations

import importlib
from itertools import pairwise
from types import ModuleType
from typing import Any, final, override

from torch import Tensor, nn
from torch.distributions import Distribution

from models.context import Context
from models.priors._base import check_parameters
from models.priors._vector import VectorPrior
from models.standard_normal import log_standard_normal


class FlowPrior(VectorPrior):
    """A flow ``family`` of zuko over flattened latents.

    context: shapes.
    family: name of a class of ``zuko.flows``.
    transforms: number of steps, at least 1.
    hidden: units of each layer of a step's network, at least one layer.
    outputs: numbers per dimension that a step's network gives.
    max_dim: the largest D, for the reason given in ``because``.
    options: more of the family's own.

    Raises ValueError above ``max_dim``, or where the networks would hold too many parameters.
    """

    def __init__(
        self,
        context: Context,
        family: str,
        *,
        transforms: int,
        hidden: tuple[int, ...],
        outputs: int,
        max_dim: int,
        because: str,
        **options: Any,
    ) -> None:
        super().__init__(context)
        dim = context.latent_dim
        sizes = (dim, *hidden, outputs * dim)
        parameters = transforms * sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(sizes))
        if dim > max_dim:
            raise ValueError(
                f"{because}, so its limit is D = {max_dim:,}; got D = {dim:,}, with {parameters:,} parameters: "
                "use prior=vamp or prior=student_t"
            )
        check_parameters("a flow", dim, parameters)
        build = getattr(_import_zuko().flows, family)
        self.steps: nn.Module = build(dim, transforms=transforms, hidden_features=hidden, **options).transform
        _start_at_identity(self.steps)

    @final
    @override
    def log_density(self, z: Tensor) -> Tensor:
        noise, log_det = self.steps().call_and_ladj(z)
        return log_det + log_standard_normal(noise)

    @final
    @override
    def draw(self, num: int) -> Tensor:
        return self.steps().inv(self.noise(num))


def _import_zuko() -> ModuleType:
    """zuko, with the process-wide validation of distributions left as it was: importing zuko switches it off."""
    setting = Distribution._validate_args
    try:
        return importlib.import_module("zuko")
    finally:
        Distribution.set_default_validate_args(setting)


def _start_at_identity(steps: Any) -> None:
    """Zeroes what each step's map is made from; at D = 1 a step has no network but the numbers themselves."""
    for step in steps.transforms:
        last = step.hyper[-1].parameters() if hasattr(step, "hyper") else step.phi
        for parameter in last:
            nn.init.zeros_(parameter)
