"""Densities fitted to codes after training, to sample from in the place of the prior."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from analysis.density_fits import DensityRefused, FittedDensity
from study.measurement.replicate import Replicate


@dataclass(frozen=True, eq=False)
class Fitted:
    """The density ``name`` fitted to the training codes of a replicate, or the reason why there is none."""

    name: str
    replicate: Replicate
    fit: FittedDensity | DensityRefused
    results: dict[Callable[..., Any], Any]

    def __len__(self) -> int:
        return len(self.replicate.train.codes)


def fitted(replicate: Replicate) -> dict[str, Fitted]:
    """Every density that is asked for, by name."""
    found = {}
    for part in replicate.evaluate.densities:
        name = part.label
        replicate.heartbeat()
        fit: FittedDensity | DensityRefused
        try:
            # One seed for all: every density is scored on the same images.
            generator = replicate.stream("densities")
            fit = part.create().fit(replicate.train.codes, replicate.held_out.codes, generator)
        except DensityRefused as reason:
            fit = reason
        found[name] = Fitted(name, replicate, fit, {})
    return found
