"""Latent: the shape of one latent as settings write it, ``32`` for a vector and ``16x8x8`` for a feature map of
channels × height × width."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from study.design.limits import DIGITS


def shape_of(notation: Any) -> tuple[int, ...]:
    """The shape that a ``notation`` says, or is; raises ValueError where it is none.

    >>> shape_of("16x8x8"), shape_of(32)
    ((16, 8, 8), (32,))
    """
    if isinstance(notation, tuple) and notation and all(type(size) is int and size >= 1 for size in notation):
        return notation
    text = str(notation)
    if isinstance(notation, bool) or len(text) > DIGITS or not re.fullmatch(r"[1-9][0-9]*(x[1-9][0-9]*)*", text):
        raise ValueError("expected a positive integer, or a shape such as 16x8x8 (channels first)")
    return tuple(int(size) for size in text.split("x"))


def written(shape: Sequence[int]) -> int | str:
    """How a ``shape`` is written.

    >>> written((16, 8, 8)), written((32,))
    ('16x8x8', 32)
    """
    return shape[0] if len(shape) == 1 else "x".join(map(str, shape))


def sides(notation: Any) -> str:
    """Height and width that a ``notation`` says, which the number of dimensions does not; empty for a vector.

    >>> sides("16x8x8"), sides(32)
    ('8×8', '')
    """
    return "×".join(map(str, shape_of(notation)[1:]))
