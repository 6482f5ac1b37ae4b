"""Images of the origin, the centre of the prior."""

from ._extension import Addition, Extension

SOUND = Addition(
    "origin",
    "study/measurement/sources/origin.py",
    '''"""The origin, seen by as many eyes as there are images: the centre of the prior."""

from __future__ import annotations

import torch
from torch import Tensor

from study.measurement.encoding import decode
from study.measurement.sources import Start, source


@source("origin", "z = 0", place=999)
def origin(start: Start) -> Tensor:
    """One image, repeated."""
    return decode(start.vae, torch.zeros_like(start.train))
''',
)
EXTENSION = Extension(
    laws=("tests/study/measurement/test_sources.py",),
    sound=SOUND,
    faulty={
        "with randomness of its own": SOUND.changed(("torch.zeros_like(start.train)", "torch.randn_like(start.train)")),
    },
    of_all=(
        "tests/study/measurement/test_sources.py::"
        "test_every_source_says_what_it_is_called_and_stands_in_an_order_of_its_own",
        "tests/study/measurement/test_sources.py::test_each_source_gives_its_own_images",
    ),
)
