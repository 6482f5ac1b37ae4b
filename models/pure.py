"""Pure: Pyro's model and guide as functions of the tensors they are given, without state between calls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyro
from pyro.poutine.messenger import Messenger


class _OwnParameters(Messenger):
    """Lets ``pyro.module`` use the tensors it is given, without a global parameter store."""

    def _pyro_param(self, message: dict[str, Any]) -> None:
        message["value"] = message["args"][1]
        message["done"] = True


@contextmanager
def pure_pyro() -> Iterator[None]:
    """Pyro without its parameter store and without argument checks, which read tensors' values on the host."""
    with pyro.validation_enabled(False), _OwnParameters():
        yield
