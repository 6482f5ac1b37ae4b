"""Labels: how cells are told apart by what differs among them, ``vamp, beta=4``.

A label holds the prior's name and every other setting that varies among the cells at hand, the latent dimension
excepted: that is an axis. A value that more than half of the cells share is omitted. Options of a part are compared
among cells with that part. The length of training is ``updates``, whatever it was set in. How a cell is evaluated, and
in which unit its length was set, is told only of cells that nothing else tells apart.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from study.design.cell import Train
from study.design.latent import shape_of, sides
from study.design.length import LENGTHS, planned_updates


def labels(configs: Mapping[str, Mapping[str, Any]], *, latent: bool = True, every: bool = False) -> dict[str, str]:
    """The label of each key's configuration, with how cells are evaluated only where it must be.

    Args:
        configs: of the cells, by key.
        latent: whether height and width of a map are told, which D does not say; not where its shape stands beside.
        every: whether a value is told that more than half of the cells share.
    """
    told = {key: dict(_flat(config)) for key, config in configs.items()}
    if not latent:
        told = {key: {name: text for name, text in own.items() if name != "latent"} for key, own in told.items()}
    named = _labels({key: _defining(settings) for key, settings in told.items()}, every)
    places = Counter((named[key], str(config["latent_dim"])) for key, config in configs.items())
    return named if max(places.values(), default=1) == 1 else _labels(told, every)


def _defining(settings: Mapping[str, str]) -> dict[str, str]:
    """Without how the cell is evaluated, and without the setting that its number of updates follows from."""
    known = LENGTHS if "updates" in settings else ()
    return {name: value for name, value in settings.items() if not name.startswith("evaluate.") and name not in known}


def _labels(flat: Mapping[str, Mapping[str, str]], every: bool) -> dict[str, str]:
    # Options of a part are compared among cells with that part; sections such as train have no name to share.
    compared: Counter[tuple[str, str | None]] = Counter()
    alike: Counter[tuple[str, str | None, str]] = Counter()
    for settings in flat.values():
        for part in {name.partition(".")[0] for name in settings}:
            compared[part, settings.get(part)] += 1
        for name, value in settings.items():
            part = name.partition(".")[0]
            alike[name, settings.get(part) if part != name else None, value] += 1

    def differences(settings: Mapping[str, str]) -> Iterator[str]:
        for name, value in settings.items():
            part = name.partition(".")[0]
            total = len(flat) if part == name else compared[part, settings.get(part)]
            count = alike[name, settings.get(part) if part != name else None, value]
            if name != "prior" and count < total and (every or 2 * count <= total):
                yield f"{name}={value}"

    return {key: ", ".join([settings["prior"], *differences(settings)]) for key, settings in flat.items()}


def _flat(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Dotted settings as they are written; of the latent shape, height and width, which D does not say; ``updates``
    where they are known."""
    updates = planned_updates(config)
    for name, value in config.items():
        if name == "latent_dim":
            yield "latent", sides(value) or "vector"
        elif not isinstance(value, Mapping):
            yield name, _written(value)
        else:
            for option, item in value.items():
                if option == "name":
                    yield name, item
                elif not (name == "train" and option in Train.execution):
                    yield f"{name}.{option}", _written(item)
            if name == "train" and updates is not None:
                yield "updates", _written(updates)


def _written(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:g}"
    if type(value) is int:  # most settings of ten thousand cells
        return str(value)
    return json.dumps(value).replace("null", "none").replace(" ", "")


def titles(
    configs: Mapping[str, Mapping[str, Any]], *, every: bool = False, common_prior: bool = True
) -> dict[str, str]:
    """Each key's label with the shape of its latent, in the order of both; the label does not say the shape again.

    Args:
        configs: of the cells, by key.
        every: as in :func:`labels`.
        common_prior: whether the prior is told where all cells have the same.
    """
    named = labels(configs, latent=False, every=every)
    order = sorted(configs, key=lambda key: (named[key], latent_dim(configs[key])))
    untold = int(not common_prior and len({config["prior"]["name"] for config in configs.values()}) == 1)
    return {key: ", ".join([*named[key].split(", ")[untold:], f"D={configs[key]['latent_dim']}"]) for key in order}


def latent_dim(config: Mapping[str, Any]) -> int:
    """D of a configuration, in which 16x8x8 stands for its product."""
    return math.prod(shape_of(config["latent_dim"]))
