"""Labels: how cells are told apart by what differs among them, ``vamp, beta=4``.

A label holds the prior's name and every other setting that varies among the cells at hand, the latent dimension
excepted: that is an axis. Options of the prior are compared within that prior.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from study.cell import Train


def labels(configs: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The label of each key's configuration."""
    flat = {key: dict(_flat(config)) for key, config in configs.items()}
    return {key: ", ".join([own["prior"], *_differences(own, flat.values())]) for key, own in flat.items()}


def _differences(own: dict[str, str], everyone: Iterable[dict[str, str]]) -> list[str]:
    others = list(everyone)
    same_prior = [other for other in others if other["prior"] == own["prior"]]
    return [
        f"{name}={value}"
        for name, value in own.items()
        if name != "prior" and any(other.get(name) != value for other in (same_prior if "prior." in name else others))
    ]


def _flat(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Dotted settings as they are written; of the latent shape, height and width, which D does not say."""
    for name, value in config.items():
        if name == "latent_dim":
            yield "latent", "×".join(str(value).split("x")[1:]) or "vector"
        elif not isinstance(value, Mapping):
            yield name, _written(value)
        else:
            for option, item in value.items():
                if option == "name":
                    yield name, item
                elif not (name == "train" and option in Train.execution):
                    yield f"{name}.{option}", _written(item)


def _written(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value).replace("null", "none").replace(" ", "")


def titles(configs: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Each key's label with its latent dimension, in the order of both."""
    named = labels(configs)
    order = sorted(configs, key=lambda key: (named[key], latent_dim(configs[key])))
    return {key: f"{named[key]}, D={configs[key]['latent_dim']}" for key in order}


def latent_dim(config: Mapping[str, Any]) -> int:
    """D of a configuration, in which 16x8x8 stands for its product."""
    return math.prod(map(int, str(config["latent_dim"]).split("x")))
