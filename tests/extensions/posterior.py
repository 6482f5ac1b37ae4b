"""An isotropic normal posterior."""

from ._extension import Addition, Extension

SOUND = Addition(
    "isotropic",
    "models/posteriors/isotropic.py",
    '''"""Isotropic normal posterior: q(z|x) = N(z; μ(x), s²(x) I)."""

from typing import final

from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.nn.functional import softplus

from models.context import Context
from models.distributions import Normal
from models.posteriors import Posterior


@final
class Isotropic(Posterior):
    """One scale for each image, the mean of a map of the encoder."""

    reference = "Kingma & Welling 2014, arXiv:1312.6114"
    factorised = True

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.encoder = context.network.encoder(context.shapes, outputs=2)

    def forward(self, images: Tensor) -> TorchDistribution:
        loc, raw = self.encode(images)
        dims = tuple(range(-len(self.latent_shape), 0))
        scale = softplus(raw.mean(dims, keepdim=True)) + 1e-3
        return Normal(loc, scale.expand_as(loc)).to_event(len(self.latent_shape))
''',
)
EXTENSION = Extension(
    laws=(
        "tests/models/test_traced_parts.py",
        "tests/models/test_posteriors.py",
        "tests/models/test_inference.py",
    ),
    sound=SOUND,
    faulty={
        "draws past the noise": SOUND.changed(
            ("from models.distributions import Normal", "from pyro.distributions import Normal")
        ),
    },
)
