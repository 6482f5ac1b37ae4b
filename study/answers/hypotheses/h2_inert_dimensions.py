r"""H2: inert dimensions change nothing.

Every cell of the control appends k dimensions in which q(z_d|x) = p(z_d) = N(0, 1), up to D + k = 65,536, and computes
KL(q_N ‖ p), the mutual information and the total variation anew, and the shell's thickness sd‖z‖/E‖z‖. (Decoded samples
stay by construction: a decoder that ignores a dimension decodes the same images.)

Rule, before any run: the effect is the largest change of the three at the largest padded D, in nats or probability, and
relative to the value without padding where that is above one. Supported if it is below 1e-6 while the shell at the
largest D is thinner than 1 % of its radius; refuted if it is above. (In a first run, in single precision, the three
moved by 1e-5 nats, the rounding of 65,536 terms; the control has been computed in double precision since.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import final, override

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from analysis.plots import ROLES, colour, marker
from study.answers.hypotheses import _drawing as drawing
from study.answers.hypotheses._base import Hypothesis, Verdict
from study.answers.hypotheses._cells import command, recorded, records, scope, tables_of
from study.answers.hypotheses._criterion import Criterion, first_given_rest, judged
from study.answers.hypotheses._statistics import Tables, by_replicate
from study.answers.results import Results

MOST, THIN = 1e-6, 0.01
QUANTITIES = ("kl", "information", "total_variation")


@final
class InertDimensions(Hypothesis):
    """KL, information and total variation with up to 65,536 dimensions in which q equals p."""

    id = "H2"
    claim = "Dimensions in which q equals p change neither KL, mutual information nor total variation, however many."
    needs = "Any cells, measured with padding: " + command(
        "latent_dim=2,32",
        "evaluate.padding=[1024,65536]",
    )

    @override
    def decide(self, results: Results) -> Verdict:
        tables, controls = _controls(results)
        change = by_replicate(tables, lambda lines: max(float(c[-1]) for c in _changes(controls, lines).values()))
        thickness = by_replicate(tables, lambda lines: float(recorded(controls, lines)[0]["shell_thickness"][-1]))
        reached = min(int(control["padded_dim"].max()) for control in controls.values())
        return judged(
            [
                Criterion.of_mean("largest change of KL, information and total variation", change, most=MOST),
                Criterion.of_mean("thickness of the shell over its radius at the largest D", thickness, most=THIN),
            ],
            f"{scope(tables.values())}; padded to D = {reached}",
            combine=first_given_rest,
        )

    @override
    def draw(self, results: Results) -> Figure:
        """A trained model with inert dimensions appended, q(z_d|x) = p(z_d) = N(0, 1). Left: the shell in which draws
        of the aggregate lie thins (sd‖z‖ over E‖z‖; dashed: 1/√(2D), that of N(0, I)). Right: change of KL, mutual
        information (nats, or relative where above one) and total variation from the model without them, the largest
        over cells and seeds, on a scale that is linear below 1e-8; the claim is the shaded region."""
        tables, controls = _controls(results)
        made, (left, right) = drawing.panels(2)
        worst: dict[tuple[str, int], float] = {}
        for table in tables.values():
            for _, line in table.groupby("replicate"):
                (own,) = recorded(controls, line)
                padded = own["padded_dim"].values.tolist()
                left.plot(padded, own["shell_thickness"], linewidth=1.0, color=ROLES["aggregate"])
                for name, change in _changes(controls, line).items():
                    for dim, value in zip(padded, change.tolist(), strict=True):
                        worst[name, dim] = max(value, worst.get((name, dim), 0.0))
        dims = sorted({dim for _, dim in worst})
        left.plot(dims, 1 / np.sqrt(2 * np.array(dims, dtype=float)), **drawing.guide("1/√(2D)"))
        drawing.log_axis(left, "y")
        for name in QUANTITIES:
            right.plot(
                dims,
                [worst.get((name, dim), np.nan) for dim in dims],
                marker=marker(name),
                color=colour(name),
                label=name.replace("_", " "),
            )
        right.set_yscale("symlog", linthresh=1e-8)
        drawing.within(right, 0.0, MOST, vertical=False)
        for axes in (left, right):
            drawing.log_dims(axes, dims)
        drawing.titled(left, "dimensions, inert ones included", "sd‖z‖ / E‖z‖")
        drawing.titled(right, "dimensions, inert ones included", "change")
        drawing.legend(left)
        drawing.legend(right)
        return made


def _controls(results: Results) -> tuple[Tables, dict[str, xr.Dataset]]:
    """A line per padded cell and replicate, and the controls by key."""
    controls = records(results, "padding")
    tables = tables_of(results.having("padding"), rate="aggregate/train/rate")
    return tables, {key: controls[key] for table in tables.values() for key in table["key"]}


def _changes(controls: Mapping[str, xr.Dataset], line: pd.DataFrame) -> dict[str, npt.NDArray[np.float64]]:
    """By quantity its change from no padding, at each padded D, relative to its value where that is above one."""
    (own,) = recorded(controls, line)
    values = {name: own[name].values for name in QUANTITIES}
    return {name: np.abs(found - found[0]) / max(abs(found[0]), 1.0) for name, found in values.items()}
