"""Extensions: one file for each family of parts, which says what one more part of it looks like."""

import importlib
import pkgutil

from ._extension import Addition, Extension

__all__ = ["EXTENSIONS", "Addition", "Extension"]

EXTENSIONS: dict[str, Extension] = {
    module.name: importlib.import_module(f".{module.name}", __name__).EXTENSION
    for module in pkgutil.iter_modules(__path__)
    if not module.name.startswith("_")
}
"""By the name of the family."""
