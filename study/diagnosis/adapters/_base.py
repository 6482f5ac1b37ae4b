"""Adapter: how a model of another package encodes and decodes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from study.diagnosis.parts import Decode, Encode


class Adapted(NamedTuple):
    """A model as two functions.

    encode: see :data:`~study.diagnosis.parts.Encode`.
    decode: see :data:`~study.diagnosis.parts.Decode`; None where the model has none that gives images.
    """

    encode: Encode
    decode: Decode | None


@dataclass(frozen=True, slots=True)
class Adapter:
    """Adapter to the models of one package.

    takes: whether a model is one of that package's; it imports nothing.
    adapt: the model's two functions.
    """

    takes: Callable[[Any], bool]
    adapt: Callable[[Any], Adapted]


def is_a(model: Any, package: str, name: str) -> bool:
    """Whether a class called ``name`` of ``package``, or of a module of it, is among the bases of ``model``'s class."""
    return any(
        base.__name__ == name and (base.__module__ == package or base.__module__.startswith(f"{package}."))
        for base in type(model).__mro__
    )
