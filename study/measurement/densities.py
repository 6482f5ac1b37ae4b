"""Densities fitted to codes after training, to sample from in the place of the prior."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from analysis.density_fits import DensityRefused, FittedDensity
from study.measurement.replicate import Replicate


@dataclass(frozen=True, eq=False)
class Fitted:
    """One density over the codes of a replicate.

    name: label under which it was asked for.
    replicate: the model whose training codes it was fitted to.
    fit: the fitted density, or the reason why there is none.
    results: what :func:`study.measurement.estimators.once` has computed of it, by function.
    """

    name: str
    replicate: Replicate
    fit: FittedDensity | DensityRefused
    results: dict[Callable[..., Any], Any]

    def __len__(self) -> int:
        return len(self.replicate.train.codes)


def fitted(replicate: Replicate) -> dict[str, Fitted]:
    """Every density that is asked for, by name."""
    densities = {}
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
        densities[name] = Fitted(name, replicate, fit, {})
    return densities
