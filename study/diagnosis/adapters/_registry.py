"""Registry of adapters: those of this folder, and those that installed packages offer."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points
from typing import Any

from study.diagnosis.adapters._base import Adapted, Adapter
from study.errors import ConfigurationError
from study.measurement.discovery import declared


@cache
def registered() -> dict[str, Adapter]:
    """Every adapter by name; a built-in name is not taken over by an installed package.

    Raises:
        ConfigurationError: where an installed package offers something else, or a name that is built in.
    """
    own = {
        module.__name__.rpartition(".")[2]: adapter for module, adapter in declared("study.diagnosis.adapters", Adapter)
    }
    for entry in entry_points(group="latent_study.adapters"):
        adapter = entry.load()
        if entry.name in own or not isinstance(adapter, Adapter):
            raise ConfigurationError(
                f"the entry point {entry.name!r} offers {entry.value}, which is no Adapter of a name of its own; "
                "rename or repair it"
            )
        own[entry.name] = adapter
    return own


def adapted(model: Any) -> Adapted:
    """The two functions of ``model``.

    Args:
        model: of one of the packages that there is an adapter for.

    Raises:
        ConfigurationError: where there is none for it.
    """
    for adapter in registered().values():
        if adapter.takes(model):
            return adapter.adapt(model)
    raise ConfigurationError(
        f"no adapter for {type(model).__module__}.{type(model).__qualname__}; there are: {', '.join(registered())}; "
        "give diagnose two functions, encode and decode"
    )
