r"""H1: the overlap of a bubble with the prior depends on its rate, not on the number of dimensions.

Of single training images the records hold KL = KL(q(z|x) ‖ N(0, I)) and the log Bhattacharyya coefficient ln BC of
q(z|x) and N(0, I), both exact. Per replicate, over the images of all latent dimensions together,

    ln BC = a + b KL + c log2 D + residual,

and the effect is c over the mean of |ln BC|: the relative change of the log overlap per doubling of D at fixed rate.

Rule, before any run: supported if |effect| < 5 % per doubling, refuted if it is more. At fixed KL the shape of a bubble
alone moves ln BC between −KL/4 (centre moved, σ = 1) and −KL/2 (σ → 0), a factor of two; 5 % per doubling keeps the
eleven doublings from D = 32 to 65,536 within that factor (1.05¹¹ = 1.71). The intuition of thin bubbles needs an effect
below zero: the overlap falls with D.
"""

from __future__ import annotations

from operator import attrgetter
from typing import NamedTuple, final, override

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from analysis.plots import INK
from study.answers.hypotheses import _marks as marks
from study.answers.hypotheses._base import Hypothesis, Verdict
from study.answers.hypotheses._criterion import Criterion
from study.answers.hypotheses._families import dims, families, scope
from study.answers.hypotheses._intervals import by_replicate
from study.answers.hypotheses._needs import Needs
from study.answers.hypotheses._records import record_lines
from study.answers.hypotheses._rule import conclude
from study.answers.results import Results

MOST = 0.05
"""Relative change of ln BC per doubling of D."""


@final
class Overlap(Hypothesis[pd.DataFrame]):
    """Regression of the log overlap of single images on their rate and on log2 D."""

    id = "H1"
    of_records = True
    group = "picture"
    claim = (
        "At a given rate, the overlap of the bubble q(z|x) with the prior N(0, I) does not depend on the dimension D."
    )
    caption = (
        "Overlap of single bubbles q(z|x) with N(0, I), as −ln of the Bhattacharyya coefficient (nats), against the "
        "rate of the same image (nats), both exact; one dot per training image of the first seed, coloured by the "
        "latent dimension D. Lines: a bubble of σ = 1 whose centre is moved (KL/4), and one that only narrows (KL/2). "
        "If the dimension mattered at fixed rate, the colours would lie apart."
    )
    needs = Needs("Cells that differ in latent_dim alone, with the standard prior", {"latent_dim": (2, 8, 32, 128)})

    @override
    def evidence(self, results: Results) -> pd.DataFrame:
        """``kl`` and ``log_overlap`` (nats) of every training image, cell and replicate."""
        lines = families(results.having("codes").plain("beta", "objective"), "latent_dim", rate="aggregate/train/rate")
        return record_lines(results, lines, "codes", {"kl": "kl_standard", "log_overlap": "log_bhattacharyya"})

    @override
    def decide(self, evidence: pd.DataFrame) -> Verdict:
        effect = "relative change of the overlap ln BC per doubling of D at fixed rate"
        fits = by_replicate(evidence, _fit)
        change = fits.map(attrgetter("change"), na_action="ignore").astype(float)
        by_rate = fits.map(attrgetter("by_rate"), na_action="ignore").astype(float)
        criterion = Criterion.of_mean(effect, change, least=-MOST, most=MOST)
        return conclude([criterion], scope(evidence), notes=[f"ln BC per nat of rate: {by_rate.mean().mean():.3g}"])

    @override
    def draw(self, evidence: pd.DataFrame) -> Figure:
        family = evidence[evidence["family"] == evidence["family"].iloc[0]]
        images = family[family["replicate"] == family["replicate"].min()]
        figure, (axes,) = marks.panels(1, width=4.8, height=3.6)
        for dim in dims(images):
            cell = images[images["latent_dim"] == dim]
            axes.plot(
                cell["kl"], -cell["log_overlap"], linestyle="", marker="o", markersize=2.2, markeredgewidth=0,
                alpha=0.5, color=marks.shade(dim, dims(images)), label=f"D = {dim}",
            )  # fmt: skip
        ends = np.array([images["kl"].min(), images["kl"].max()])
        for share, style in ((4, (0, (4, 3))), (2, (0, (1, 1.5)))):
            axes.plot(ends, ends / share, color=INK, linewidth=1.0, linestyle=style, label=f"KL/{share}")
        marks.log_axis(axes, "x")
        marks.log_axis(axes, "y")
        marks.axis_labels(axes, "KL(q(z|x) ‖ N(0, I)), nats", "−ln BC, nats")
        marks.legend(axes, markerscale=3, ncols=2)
        return figure


class _Fit(NamedTuple):
    """The regression of one replicate.

    by_rate: b, per nat.
    change: c as a share of the mean of |ln BC|.
    """

    by_rate: float
    change: float


def _coefficients(images: pd.DataFrame) -> npt.NDArray[np.float64]:
    """a, b and c of the module docstring, ``(3,)``: c is positive where overlap grows with D."""
    log_dim = np.log2(images["latent_dim"].to_numpy(float))
    design = np.column_stack([np.ones(len(images)), images["kl"].to_numpy(), log_dim])
    coefficients: npt.NDArray[np.float64] = np.linalg.lstsq(design, images["log_overlap"].to_numpy(), rcond=None)[0]
    return coefficients


def _fit(images: pd.DataFrame) -> _Fit:
    _, by_rate, by_dim = _coefficients(images)
    return _Fit(float(by_rate), float(by_dim / np.abs(images["log_overlap"].to_numpy()).mean()))
