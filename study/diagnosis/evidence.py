"""Evidence: estimates and records of one diagnosis, asked for by their addresses."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from analysis.address import Address
from analysis.estimate import Estimate
from analysis.tree import ROWS, UNDEFINED
from study.design.families import DENSITIES
from study.design.latent import shape_of
from study.design.parts import part_name


def repeats_training(density: str) -> bool:
    """Whether draws of the density of that label are codes of training observations, slightly moved."""
    name = part_name(density)
    return name in DENSITIES and DENSITIES[name].repeats_training_images


@dataclass(frozen=True, eq=False)
class Evidence:
    """Evidence of a diagnosis.

    tree: see :mod:`analysis.tree`, of one replicate.
    details: how it was come by.
    """

    tree: xr.DataTree
    details: dict[str, Any]

    def __call__(self, address: str) -> Estimate | None:
        """The estimate of this address; None where there is none, or it is not defined there."""
        name = Address.parse(address)
        if name.group not in self.tree.children:
            return None
        table = self.tree[name.group].to_dataset()
        dim = ROWS[name.group]
        if name.row not in table[dim].values or name.quantity not in table["quantity"].values:
            return None
        one = table.isel(chain=0).sel({dim: name.row, "quantity": name.quantity})
        flags = tuple(flag for flag in str(one["flags"].item()).split("; ") if flag)
        if f"refused: {UNDEFINED}" in flags:
            return None
        return Estimate(
            float(one["value"]),
            float(one["standard_error"]),
            int(one["n"]),
            int(one["num_draws"]),
            one["bound"].item(),
            flags,
        )

    @property
    def interrupted(self) -> bool:
        """Whether something was left unmeasured, so that what is absent says nothing."""
        return bool(self.details.get("interrupted"))

    def number(self, address: str) -> float:
        """The value of an estimate; NaN where there is none."""
        estimate = self(address)
        return math.nan if estimate is None else estimate.value

    def record(self, group: str, variable: str) -> npt.NDArray[Any] | None:
        """The array ``variable`` of the records ``group``; None where there is none."""
        if group not in self.tree.children or variable not in self.tree[group]:
            return None
        values: npt.NDArray[Any] = np.asarray(self.tree[group][variable].isel(chain=0).values)
        return values

    def rows(self, group: str) -> list[str]:
        """Names of the rows of a table of estimates."""
        return (
            [str(row) for row in self.tree[group].to_dataset()[ROWS[group]].values]
            if group in self.tree.children
            else []
        )

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Shape of one latent."""
        return shape_of(self.details["latent_shape"])

    def repaired(self) -> str | None:
        """The density that certifies the most nats of those whose draws are not the training codes again, or None."""
        return next((name for name, _ in self.ranking() if not repeats_training(name)), None)

    def ranking(self) -> list[tuple[str, Estimate]]:
        """Densities by the nats that they certify, the most first."""
        gaps = ((name, self(f"densities/{name}/certified_gap")) for name in self.rows("densities"))
        there = [(name, gap) for name, gap in gaps if gap is not None and not gap.is_refused]
        return sorted(there, key=lambda pair: -pair[1].value)
