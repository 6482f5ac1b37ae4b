"""StoreName: under which name a model's parameters stand in Pyro's global parameter store.

``pyro.module(name, self)`` registers parameters by name and keeps what it already holds under it: of two models with
one name, the second would be run with its own parameters while the optimiser moves those of the first. A name that is
the instance's own lets any number of models train side by side, without ``pyro.clear_param_store()`` between them.
"""

from __future__ import annotations

from itertools import count
from typing import final

_numbers = count(1)


@final
class StoreName:
    """A name that no other object of this process has, ``kind`` with a number; a copy or a pickle gets a new one."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._name = f"{kind}_{next(_numbers)}"

    def __str__(self) -> str:
        return self._name

    def __reduce__(self) -> tuple[type[StoreName], tuple[str]]:
        # What `copy.deepcopy` and pickle rebuild it from: a copied model has parameters of its own, and so a new name.
        return StoreName, (self._kind,)
