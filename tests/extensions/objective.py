"""An ELBO with the square of the rate added."""

from ._extension import Addition, Extension

SOUND = Addition(
    "squared_rate",
    "models/objectives/squared_rate.py",
    '''"""ELBO with the square of the rate added."""

from typing import final

from torch import Tensor

from models.objectives import Objective, Pair


@final
class SquaredRate(Objective):
    """Distortion + rate + rate²/100, averaged over images."""

    reference = "Higgins et al. 2017, openreview Sy2fzU9gl"

    def loss(self, pair: Pair) -> Tensor:
        return (pair.distortion + pair.rate + pair.rate.square() / 100).mean()
''',
)
EXTENSION = Extension(
    laws=(
        "tests/models/test_objectives.py",
        "tests/models/test_traced_parts.py",
    ),
    sound=SOUND,
    faulty={
        "the decoder is not trained": SOUND.changed(("pair.distortion +", "pair.distortion.detach() +")),
    },
)
