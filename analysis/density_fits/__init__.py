"""Ex-post densities fitted to latent codes: one final class per file, discovered by file name."""

import importlib
import inspect
import pkgutil

from analysis.density_fits._base import Codes, Density, DensityFit, DensityRefused, FittedDensity


def _discover() -> dict[str, type[DensityFit]]:
    names = sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))
    return {name: _only_fit(name) for name in names}


def _only_fit(name: str) -> type[DensityFit]:
    module = importlib.import_module(f"{__name__}.{name}")
    own = [
        value
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, DensityFit) and value.__module__ == module.__name__
    ]
    if len(own) != 1:
        raise TypeError(f"{module.__name__} must define exactly one DensityFit; found {len(own)}")
    return own[0]


DENSITY_FITS: dict[str, type[DensityFit]] = _discover()

__all__ = ["DENSITY_FITS", "Codes", "Density", "DensityFit", "DensityRefused", "FittedDensity"]
