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

from typing import final, override

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.plots import ROLES, colour, marker
from study.answers.hypotheses import _marks as marks
from study.answers.hypotheses._base import Hypothesis, Verdict
from study.answers.hypotheses._criterion import Criterion
from study.answers.hypotheses._families import alike, scope
from study.answers.hypotheses._intervals import by_replicate
from study.answers.hypotheses._needs import Needs
from study.answers.hypotheses._records import having_records, record_lines
from study.answers.hypotheses._rule import conclude, first_given_rest
from study.answers.results import Results

MOST, THIN = 1e-6, 0.01
QUANTITIES = ["kl", "information", "total_variation"]


@final
class InertDimensions(Hypothesis[pd.DataFrame]):
    """KL, information and total variation with up to 65,536 dimensions in which q equals p."""

    id = "H2"
    family = "check"
    group = "picture"
    claim = "Dimensions in which q equals p change neither KL, mutual information nor total variation, however many."
    caption = (
        "A trained model with inert dimensions appended, q(z_d|x) = p(z_d) = N(0, 1). Left: the shell in which draws "
        "of the aggregate lie thins (sd‖z‖ over E‖z‖; dashed: 1/√(2D), that of N(0, I)). Right: change of KL, mutual "
        "information (nats, or relative where above one) and total variation from the model without them, the largest "
        "over cells and seeds, on a scale that is linear below 1e-8; the claim is the shaded region."
    )
    needs = Needs("Any cells, measured with padding", {"latent_dim": (2, 32)}, {"evaluate.padding": (1024, 65536)})

    @override
    def evidence(self, results: Results) -> pd.DataFrame:
        """``shell_thickness`` and the change of each of QUANTITIES from no padding, relative to its value where that is
        above one, at each ``padded_dim`` of every cell and replicate."""
        padded = having_records(results, "padding")
        lines = alike(padded, rate="aggregate/train/rate")
        columns = {name: name for name in ("padded_dim", "shell_thickness", *QUANTITIES)}
        controls = record_lines(padded, lines, "padding", columns)
        without = controls.groupby(["key", "replicate"])[QUANTITIES].transform("first")
        controls[QUANTITIES] = (controls[QUANTITIES] - without).abs() / np.maximum(without.abs(), 1.0)
        return controls

    @override
    def decide(self, evidence: pd.DataFrame) -> Verdict:
        change = by_replicate(evidence, lambda control: float(max(control[QUANTITIES].iloc[-1])))
        thickness = by_replicate(evidence, lambda control: float(control["shell_thickness"].iloc[-1]))
        reached = evidence.groupby("key")["padded_dim"].max().min()
        return conclude(
            [
                Criterion.of_mean("largest change of KL, information and total variation", change, most=MOST),
                Criterion.of_mean("thickness of the shell over its radius at the largest D", thickness, most=THIN),
            ],
            f"{scope(evidence)}; padded to D = {reached}",
            combine=first_given_rest,
        )

    @override
    def draw(self, evidence: pd.DataFrame) -> Figure:
        figure, (left, right) = marks.panels(2)
        for _, control in evidence.groupby(["family", "replicate"], sort=False):
            left.plot(control["padded_dim"], control["shell_thickness"], linewidth=1.0, color=ROLES["aggregate"])
        largest = evidence.groupby("padded_dim")[QUANTITIES].max()
        dims = largest.index.tolist()
        left.plot(dims, 1 / np.sqrt(2 * np.array(dims, dtype=float)), **marks.guide("1/√(2D)"))
        marks.log_axis(left, "y")
        for name, change in largest.items():
            quantity = str(name)
            label = quantity.replace("_", " ")
            right.plot(dims, change, marker=marker(quantity), color=colour(quantity), label=label)
        right.set_yscale("symlog", linthresh=1e-8)
        marks.region(right, 0.0, MOST, vertical=False)
        for axes, label in ((left, "sd‖z‖ / E‖z‖"), (right, "change")):
            marks.log_dims(axes, dims)
            marks.axis_labels(axes, "dimensions, inert ones included", label)
            marks.legend(axes)
        return figure
