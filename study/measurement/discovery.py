"""Discovery: the declarations of a folder of modules, so that a new file is all that a new declaration takes."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType


def modules(package: str) -> Iterator[ModuleType]:
    """The modules of ``package``, by name; those whose name starts with an underscore are its own business."""
    folder = importlib.import_module(package)
    for found in pkgutil.iter_modules(folder.__path__):
        if not found.name.startswith("_"):
            yield importlib.import_module(f"{package}.{found.name}")


def declared[Declaration](package: str, kind: type[Declaration]) -> list[tuple[ModuleType, Declaration]]:
    """Every instance of ``kind`` in the modules of ``package``, with its module, in the order of the files.

    Raises:
        TypeError: where a module declares none, which would leave its file without effect.
    """
    found = []
    for module in modules(package):
        own = [value for value in vars(module).values() if isinstance(value, kind)]
        if not own:
            raise TypeError(f"{module.__name__} declares no {kind.__name__}; declare one, or start its name with '_'")
        found += [(module, value) for value in own]
    return found
