"""Linear bodies."""

from ._extension import Addition, Extension

SOUND = Addition(
    "single_layer",
    "models/networks/single_layer.py",
    '''"""Linear bodies."""

import math
from typing import final

from torch import nn

from models.networks import Network
from models.shapes import Shapes


def linear(inputs: tuple[int, ...], outputs: int, shape: tuple[int, ...]) -> nn.Module:
    layer = nn.Linear(math.prod(inputs), outputs * math.prod(shape))
    return nn.Sequential(nn.Flatten(), layer, nn.Unflatten(1, (outputs, *shape)))


@final
class SingleLayer(Network):
    """One dense layer on either side; its author knows nothing of leading dimensions."""

    reference = "Kingma & Welling 2014, arXiv:1312.6114"

    def encoder(self, shapes: Shapes, outputs: int) -> nn.Module:
        return linear(shapes.image_shape, outputs, shapes.latent_shape)

    def decoder(self, shapes: Shapes, outputs: int) -> nn.Module:
        return linear(shapes.latent_shape, outputs, shapes.image_shape)
''',
)
EXTENSION = Extension(
    laws=(
        "tests/models/test_networks.py",
        "tests/models/test_inference.py",
    ),
    sound=SOUND,
    faulty={
        "mixes the batch": SOUND.changed(("nn.Sequential(nn.Flatten()", "nn.Sequential(nn.Softmax(0), nn.Flatten()")),
    },
)
