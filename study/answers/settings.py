"""Settings: a stored configuration as a flat table from dotted names, such as ``train.epochs``, to values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from study.design.cell import Cell
from study.design.families import FAMILIES
from study.design.latent import shape_of
from study.design.length import planned_updates


def settings(config: Mapping[str, Any], num_images: int | None = None) -> dict[str, Any]:
    """Every setting under its dotted name; ``latent_dim`` is the number D and ``latent`` the shape as written, and
    ``updates`` how long the cell trains, in whichever unit that was set, where it is known.

    Settings that the cell was stored without have their defaults; options of parts are those it was stored with.

    config: of a stored cell.
    num_images: training images, where they were counted.
    """
    flat = _defaults() | dict(_flat(config))
    shape = str(flat["latent_dim"])
    updates = planned_updates(config, num_images)
    length = {} if updates is None else {"updates": updates}
    return flat | length | {"latent": shape, "latent_dim": math.prod(shape_of(shape))}


def _flat(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Dotted settings; a part's name stands under its family, and lists are tuples."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            for option, item in value.items():
                yield (name if option == "name" else f"{name}.{option}"), _hashable(item)
        else:
            yield name, _hashable(value)


def _hashable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return tuple((name, _hashable(item)) for name, item in sorted(value.items()))
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


@cache
def _defaults() -> dict[str, Any]:
    """Defaults of the settings that are no part's."""
    return {name: value for name, value in _flat(Cell().config()) if name.partition(".")[0] not in FAMILIES}
