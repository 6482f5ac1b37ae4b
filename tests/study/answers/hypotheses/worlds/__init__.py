"""Worlds: what the cells that a hypothesis needs say where its claim is true, and where it is false.

One file for each hypothesis that rests on cells, with its name, and in it a function ``truth(cell, holds)``: estimates
of the cell by address, and records by group.
"""

import importlib
import pkgutil

WORLDS = {
    module.name: importlib.import_module(f".{module.name}", __name__).truth
    for module in pkgutil.iter_modules(__path__)
    if not module.name.startswith("_")
}
