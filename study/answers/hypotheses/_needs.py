"""Needs: the study whose cells decide a hypothesis, as a document over settings that all such studies share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from study.answers.results import Results
from study.design.families import DATASETS
from study.design.settings import spelling
from study.design.study import Study

NAME = "hypotheses"
"""Name of the studies and of the folder of their cells: hypotheses with a cell in common compute it once."""

DATASET = "digits"

COMMON: dict[str, Any] = {
    "dataset": DATASET,
    "binarisation": "dynamic",
    "network": {"name": "mlp", "hidden": (128, 128)},
    "prior": "standard_normal",
    "objective": "elbo",
    "beta": 1,
    "latent_dim": 32,
    "seeds": 5,
    "train.updates": 880,
    "train.batch_size": 128,
    "train.learning_rate": 2e-3,
    "evaluate.draws": 1000,
}
"""Settings of every needed cell, unless a hypothesis sets or varies them."""


@dataclass(frozen=True)
class Map:
    """A latent of as many places as a convolutional network of two levels leaves of the images of a data set.

    channels: numbers at each place.
    flat: whether it is the vector of as many numbers, without places.
    """

    channels: int
    flat: bool = False

    def on(self, dataset: str) -> int | str:
        """``latent_dim``: 64 channels are ``64x2x2`` on digits or, flat, 256.

        dataset: name of the data set; one whose images are not known counts as digits.
        """
        shape = DATASETS[dataset].image_shape if dataset in DATASETS else None
        side = math.ceil((shape or DATASETS[DATASET].image_shape)[1] / 4)
        return self.channels * side**2 if self.flat else f"{self.channels}x{side}x{side}"


@dataclass(frozen=True)
class Needs:
    """Cells that decide a hypothesis.

    description: what they have in common and differ in, in words, without a full stop.
    factors: the values that settings take, under dotted names; the cells are their product. A latent may be a
        :class:`Map`.
    settings: fixed settings other than those of COMMON, under dotted names.
    estimators: files of the estimators without which there is no evidence and which presets leave out.
    """

    description: str
    factors: Mapping[str, tuple[Any, ...]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    estimators: tuple[str, ...] = ()

    def study(self, dataset: str = DATASET) -> Study:
        """The study that computes them, to be overridden and run as any other.

        dataset: name of the data set.
        """

        def sized(value: Any) -> Any:
            return value.on(dataset) if isinstance(value, Map) else value

        settings = {**COMMON, **self.settings, "dataset": dataset}
        fixed = {name: sized(value) for name, value in settings.items() if name not in self.factors}
        factors = {name: tuple(map(sized, values)) for name, values in self.factors.items()}
        document = {"description": self.description, "settings": fixed, "factors": factors}
        return Study.from_document(NAME, document, self.description)

    def switched_off(self, results: Results) -> list[str]:
        """What keeps each of ``results`` from having what needed cells are measured for, in words: settings of the
        measurement that are off, and what ``evaluate.omit`` names, of which ``estimators`` tell what matters.

        results: finished cells.
        """
        own = [name for name in self.settings if name.startswith("evaluate.")]
        values = {name: results.levels(name) for name in (*own, "evaluate.samples")}
        off = [f"{name} is {spelling(found[0])}" for name, found in values.items() if found and not any(found)]
        left_out = [set(omitted) for omitted in results.levels("evaluate.omit")]
        names = sorted(set.intersection(*left_out)) if left_out else []
        named = [name for name in names if name in self.estimators] or ([] if off else names)
        return off + ([f"evaluate.omit names {', '.join(named)}"] if named else [])
