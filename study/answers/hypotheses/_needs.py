"""Needs: the study whose cells decide a hypothesis, as a document over settings that all such studies share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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
class Needs:
    """Cells that decide a hypothesis.

    description: what they have in common and differ in, in words, without a full stop.
    factors: the values that settings take, under dotted names; the cells are their product.
    settings: fixed settings other than those of COMMON, under dotted names.
    """

    description: str
    factors: Mapping[str, tuple[Any, ...]]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def study(self) -> Study:
        """The study that computes them; to be overridden and run as any other."""
        fixed = {name: value for name, value in {**COMMON, **self.settings}.items() if name not in self.factors}
        document = {"description": self.description, "settings": fixed, "factors": self.factors}
        return Study.from_document(NAME, document, self.description)
