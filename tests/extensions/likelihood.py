"""A Laplace likelihood."""

from ._extension import Addition, Extension

SOUND = Addition(
    "absolute_error",
    "models/likelihoods/absolute_error.py",
    '''"""Laplace likelihood: p(x|z) = Π_i exp(−|x_i − π_i(z)| / b) / 2b."""

from typing import final

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor

from models.context import Context
from models.likelihoods import Likelihood


@final
class AbsoluteError(Likelihood):
    """Independent Laplace pixels of scale 0.1 about a sigmoid of the decoder's map."""

    reference = "Kingma & Welling 2014, arXiv:1312.6114"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.decoder = context.network.decoder(context.shapes, outputs=1)

    def forward(self, latents: Tensor) -> TorchDistribution:
        (raw,) = self.decode(latents)
        loc = raw.sigmoid()
        return dist.Laplace(loc, torch.full_like(loc, 0.1)).to_event(len(self.image_shape))
''',
)
EXTENSION = Extension(
    laws=(
        "tests/models/test_likelihoods.py",
        "tests/models/test_traced_parts.py",
        "tests/models/test_inference.py",
    ),
    sound=SOUND,
    faulty={
        "rows of pixels are a batch": SOUND.changed(("to_event(len(self.image_shape))", "to_event(1)")),
    },
)
