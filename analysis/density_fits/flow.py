r"""Normalising flow: z = m + s·f(u), u ~ N(0, I), with f an autoregressive flow fitted by maximum likelihood.

    log r(z) = log N(f⁻¹(y); 0, I) + log|det ∂f⁻¹/∂y| − Σ_d log s_d,    y = (z − m)/s

f⁻¹ is a stack of masked autoregressive transforms, rational-quadratic splines or affine ones, with networks as zuko
builds them (Rozet et al. 2022). Densities of codes, and draws, cost one pass through these; that of draws in D turns.
"""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal, final, override

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from analysis.density_fits._autoregressive import inverse
from analysis.density_fits._base import Codes, Density, DensityFit, DensityRefused
from analysis.density_fits._spline import Spline
from analysis.density_fits._training import Standardisation, TrainingOptions, blocks, num_weights, seeded_module, train
from analysis.options import AtLeastTwo, Count, Positive, Repeats, Width

MAX_DIM = 256


@dataclass(frozen=True, eq=False)
class Flow(Density):
    """A trained flow.

    flow: y ↦ noise, of standardised codes.
    standardisation: of the codes.
    """

    flow: nn.Module
    standardisation: Standardisation

    @property
    @override
    def num_parameters(self) -> int:
        """Weights of the flow, and mean and scale of each dimension."""
        return num_weights(self.flow) + 2 * len(self.standardisation.mean)

    @torch.no_grad()
    @override
    def log_prob(self, z: Tensor) -> Tensor:
        """Log r(z), exact, evaluated in float64."""
        y = self.standardisation.standardise(z)
        return torch.cat([log_density(self.flow, block) for block in blocks(y)]) - self.standardisation.log_volume

    @torch.no_grad()
    @override
    def sample(self, num: int, generator: torch.Generator) -> Tensor:
        """Draws by the inverse of the flow, float64."""
        mean = self.standardisation.mean
        noise = torch.randn(num, len(mean), generator=generator, dtype=torch.float64, device=generator.device)
        y = [inverse(self.flow, block) for block in blocks(noise.to(mean.device))]
        return self.standardisation.restore(torch.cat(y))


@final
class FlowFit(DensityFit):
    """Autoregressive flow whose training is stopped by the held-out score.

    kind: of the transforms.
    num_transforms: steps of the flow.
    num_bins: of each spline.
    hidden_width: units of both layers of each step's masked network.
    learning_rate: of training; for this and the following see :class:`TrainingOptions`.
    batch_size: codes per step.
    max_epochs: passes over the codes at most.
    patience: epochs without a better held-out score after which to stop.
    """

    reference = "Durkan et al. 2019, arXiv:1906.04032 (spline); Papamakarios et al. 2017, arXiv:1705.07057 (affine)"

    def __init__(
        self,
        *,
        kind: Literal["spline", "affine"] = "spline",
        num_transforms: Repeats = 3,
        num_bins: AtLeastTwo = 8,
        hidden_width: Width = 128,
        learning_rate: Positive = 1e-3,
        batch_size: Count = 256,
        max_epochs: Repeats = 100,
        patience: Repeats = 5,
    ) -> None:
        self.kind = kind
        self.num_transforms = num_transforms
        self.num_bins = num_bins
        self.hidden_width = hidden_width
        self.training = TrainingOptions(learning_rate, batch_size, max_epochs, patience)

    @override
    def fit_vectors(self, codes: Codes, choice: Codes, generator: torch.Generator) -> Flow:
        """The flow of the epoch with the highest mean log-density on ``choice``."""
        dim = codes.z.shape[1]
        if dim > MAX_DIM:
            raise DensityRefused(
                f"an autoregressive flow draws in D sequential turns from masked layers as wide as D, so it is limited "
                f"to D ≤ {MAX_DIM}; got D = {dim}: use a low-rank Gaussian mixture"
            )
        standardisation = Standardisation.of(codes.z)
        flow, epochs, flags = train(
            seeded_module(lambda: self._build(dim), generator),
            lambda module, y: -log_density(module, y),
            standardisation.standardise(codes.z),
            standardisation.standardise(choice.z),
            generator,
            self.training,
        )
        return Flow(flow, standardisation, choices={"epochs": epochs}, flags=flags)

    def _build(self, dim: int) -> nn.Module:
        options: dict[str, Any] = {"transforms": self.num_transforms, "hidden_features": (self.hidden_width,) * 2}
        if self.kind == "spline":
            bins = self.num_bins
            options |= {"univariate": Spline, "shapes": [(bins,), (bins,), (bins - 1,)]}
        return import_zuko().flows.MAF(dim, **options)


def import_zuko() -> ModuleType:
    """zuko, with the process-wide validation of distributions left as it was: importing zuko switches it off."""
    setting = Distribution._validate_args
    try:
        return importlib.import_module("zuko")
    finally:
        Distribution.set_default_validate_args(setting)


def log_density(flow: Any, y: Tensor) -> Tensor:
    """Log-density ``(M,)`` in nats of standardised codes, in their dtype.

    Args:
        flow: zuko's, y ↦ noise.
        y: ``(M, D)``.
    """
    noise, log_det = flow.transform().call_and_ladj(y)
    return log_det - 0.5 * (noise.square() + math.log(2 * math.pi)).sum(-1)
