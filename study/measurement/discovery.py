"""Discovery: the declarations of a folder of modules, so that a new file is all that a new declaration takes."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType


def modules(package: str) -> Iterator[ModuleType]:
    """The modules of ``package``, by name; those whose name starts with an underscore are its own business."""
    folder = importlib.import_module(package)
    for module in pkgutil.iter_modules(folder.__path__):
        if not module.name.startswith("_"):
            yield importlib.import_module(f"{package}.{module.name}")


def declared[Declaration](package: str, kind: type[Declaration]) -> list[tuple[ModuleType, Declaration]]:
    """Every instance of ``kind`` in the modules of ``package``, with its module, in the order of the files.

    Raises:
        TypeError: where a module declares none, which would leave its file without effect.
    """
    declarations = []
    for module in modules(package):
        of_module = [value for value in vars(module).values() if isinstance(value, kind)]
        if not of_module:
            raise TypeError(f"{module.__name__} declares no {kind.__name__}; declare one, or start its name with '_'")
        declarations += [(module, value) for value in of_module]
    return declarations
