"""Densities fitted to codes after training, to sample from in the place of the prior."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
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
    seconds: of processor time that the fit took, the choice of its size and its score included.
    """

    name: str
    replicate: Replicate
    fit: FittedDensity | DensityRefused
    results: dict[Callable[..., Any], Any]
    seconds: float

    def __len__(self) -> int:
        return len(self.replicate.train.codes)


def fitted(replicate: Replicate) -> Iterator[Fitted]:
    """Every density that is asked for, one after the other."""
    for part in replicate.evaluate.densities:
        name = part.label
        replicate.heartbeat()
        fit: FittedDensity | DensityRefused
        began = time.process_time()
        try:
            # One seed for all: every density is scored on the same images.
            generator = replicate.stream("densities")
            fit = part.create().fit(replicate.train.codes, replicate.held_out.codes, generator)
        except DensityRefused as reason:
            fit = reason
        yield Fitted(name, replicate, fit, {}, time.process_time() - began)
