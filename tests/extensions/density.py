"""A kernel density estimate of the codes."""

from ._extension import Addition, Extension

SOUND = Addition(
    "parzen",
    "analysis/density_fits/parzen.py",
    '''"""Parzen windows: r(z) = (1/N) Σ_n N(z; z_n, h² I)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from analysis.density_fits._base import Codes, Density, DensityFit
from analysis.options import Positive


@dataclass(frozen=True, eq=False)
class Windows(Density):
    """Kernels of one width h about the codes."""

    centres: Tensor
    width: float

    def log_prob(self, z: Tensor) -> Tensor:
        """Log r(z), exact."""
        num, dim = self.centres.shape
        constant = math.log(num) + dim * math.log(self.width * math.sqrt(2 * math.pi))
        blocks = z.double().split(2_000)
        exponents = (-0.5 * (torch.cdist(block, self.centres) / self.width).square() for block in blocks)
        return torch.cat([exponent.logsumexp(1) for exponent in exponents]) - constant

    def sample(self, num: int, generator: torch.Generator) -> Tensor:
        """One of the codes with noise."""
        rows = torch.randint(len(self.centres), (num,), generator=generator)
        noise = torch.randn(num, self.centres.shape[1], generator=generator, dtype=torch.float64)
        return self.centres[rows] + self.width * noise


@final
class ParzenFit(DensityFit):
    """Windows about the draws.

    width: h, in the units of the codes.
    """

    reference = "Parzen 1962, doi:10.1214/aoms/1177704472"

    def __init__(self, *, width: Positive = 0.3) -> None:
        self.width = width

    def fit_vectors(self, codes: Codes, choice: Codes, generator: torch.Generator) -> Windows:
        """Nothing is chosen."""
        return Windows(codes.z.double(), self.width)
''',
)
EXTENSION = Extension(
    laws=("tests/analysis/density_fits/test_density_fits.py",),
    sound=SOUND,
    faulty={
        "not divided by the number of codes": SOUND.changed(("math.log(num) + ", "")),
        "narrower in its samples": SOUND.changed(
            ("parzen", "parzen_narrow"), ("self.centres[rows] + self.width * noise", "self.centres[rows] / 2")
        ),
    },
)
