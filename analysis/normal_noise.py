r"""Normal noise: standard normal numbers of a named stream as NumPy arrays, without torch.

They are, number for number, those that torch draws in double precision from the stream of the same name
(:func:`analysis.randomness.stream`), so that results can be read without waiting for torch to be imported. Uniform
numbers u in [0, 1) are the lower 53 of 64 bits of the Mersenne Twister; Box and Muller's transformation (1958) makes
two normal ones of two of them,

    x₁ = √(−2 log(1 − u₁)) cos 2πu₂,    x₂ = √(−2 log(1 − u₁)) sin 2πu₂,

in blocks of sixteen, whose first half holds the u₁ and the x₁ and whose second half the u₂ and the x₂. Where sixteen
does not divide the number, the last sixteen are drawn anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import final

import numpy as np
import numpy.typing as npt

from analysis.seeds import integer_seed

_BLOCK = 16


@final
class NormalNoise:
    """Standard normal numbers of the stream of this name, one array after another.

    seed: number of the repetition; repetitions are independent.
    purpose: words, and numbers, that say what the noise is for; at least one.

    >>> NormalNoise(0, "example").draw((2, 8)).shape
    (2, 8)
    """

    def __init__(self, seed: int, *purpose: str | int) -> None:
        self._bits = np.random.RandomState(integer_seed(seed, *purpose))

    def draw(self, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
        """The next numbers, of this ``shape``; of arrays of fewer than sixteen numbers they are others than torch's."""
        return self.reserve(shape)()

    def reserve(self, shape: tuple[int, ...]) -> Callable[[], npt.NDArray[np.float64]]:
        """What gives the numbers that :meth:`draw` would give now, whatever is drawn before it is called: of many
        arrays those that are not asked for cost their random bits alone.

        shape: of the array.
        """
        size = math.prod(shape)
        whole = max(size, _BLOCK)
        bits = self._bits.bytes(8 * (whole + (_BLOCK if whole % _BLOCK else 0)))

        def numbers() -> npt.NDArray[np.float64]:
            uniform = _uniform(bits)
            normal, blocks = uniform[:whole], whole // _BLOCK * _BLOCK
            normal[:blocks] = _box_muller(normal[:blocks])
            if blocks < whole:
                normal[-_BLOCK:] = _box_muller(uniform[whole:])
            return normal[:size].reshape(shape)

        return numbers


def _uniform(bits: bytes) -> npt.NDArray[np.float64]:
    """Uniform numbers of 64 bits each, the higher half of which comes first."""
    high, low = np.frombuffer(bits, "<u4").astype(np.uint64).reshape(-1, 2).T
    return ((high << np.uint64(32) | low) & np.uint64(2**53 - 1)).astype(np.float64) * 2.0**-53


def _box_muller(uniform: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Normal numbers of as many uniform ones ``(16 k,)``."""
    first, second = np.moveaxis(uniform.reshape(-1, 2, _BLOCK // 2), 1, 0)
    radius, angle = np.sqrt(-2 * np.log1p(-first)), 2 * math.pi * second
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).ravel()
