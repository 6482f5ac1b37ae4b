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

from collections.abc import Mapping
from typing import NamedTuple, final, override

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from analysis.plots import INK
from study.answers.hypotheses import _drawing as drawing
from study.answers.hypotheses._base import Hypothesis, Verdict
from study.answers.hypotheses._cells import command, family_tables, recorded, records, scope
from study.answers.hypotheses._criterion import Criterion, judged
from study.answers.hypotheses._statistics import Tables, by_replicate
from study.answers.results import Results

MOST = 0.05
"""Relative change of ln BC per doubling of D."""


@final
class Overlap(Hypothesis):
    """Regression of the log overlap of single images on their rate and on log2 D."""

    id = "H1"
    claim = (
        "At a given rate, the overlap of the bubble q(z|x) with the prior N(0, I) does not depend on the dimension D."
    )
    needs = "Cells that differ in latent_dim alone, with the standard prior: " + command(
        "latent_dim=2,8,32,128",
    )

    @override
    def decide(self, results: Results) -> Verdict:
        tables = _tables(results)
        codes = records(results, "codes")
        effect = by_replicate(tables, lambda lines: _fit(_images(codes, lines)).relative_by_doubling)
        by_rate = by_replicate(tables, lambda lines: _fit(_images(codes, lines)).by_rate)
        criterion = Criterion.of_mean(
            "relative change of the overlap ln BC per doubling of D at fixed rate", effect, least=-MOST, most=MOST
        )
        return judged(
            [criterion], scope(tables.values()), notes=[f"ln BC per nat of rate: {by_rate.mean().mean():.3g}"]
        )

    @override
    def draw(self, results: Results) -> Figure:
        """Overlap of single bubbles q(z|x) with N(0, I), as −ln of the Bhattacharyya coefficient (nats), against the
        rate of the same image (nats), both exact; one dot per training image of the first seed, coloured by the latent
        dimension D. Lines: a bubble of σ = 1 whose centre is moved (KL/4), and one that only narrows (KL/2). If the
        dimension mattered at fixed rate, the colours would lie apart."""
        tables = _tables(results)
        lines = next(iter(tables.values()))
        images = _images(records(results, "codes"), lines[lines["replicate"] == lines["replicate"].min()])
        made, (axes,) = drawing.panels(1, width=4.8, height=3.6)
        dims = sorted(images["latent_dim"].unique())
        for dim in dims:
            own = images[images["latent_dim"] == dim]
            axes.plot(
                own["kl"], -own["log_overlap"], linestyle="", marker="o", markersize=2.2, markeredgewidth=0, alpha=0.5,
                color=drawing.shade(dim, dims), label=f"D = {dim}",
            )  # fmt: skip
        ends = np.array([images["kl"].min(), images["kl"].max()])
        for share, style in ((4, (0, (4, 3))), (2, (0, (1, 1.5)))):
            axes.plot(ends, ends / share, color=INK, linewidth=1.0, linestyle=style, label=f"KL/{share}")
        drawing.log_axis(axes, "x")
        drawing.log_axis(axes, "y")
        drawing.titled(axes, "KL(q(z|x) ‖ N(0, I)), nats", "−ln BC, nats")
        drawing.legend(axes, markerscale=3, ncols=2)
        return made


def _tables(results: Results) -> Tables:
    return family_tables(results.having("codes").plain("beta", "objective"), "latent_dim", rate="aggregate/train/rate")


class _Fit(NamedTuple):
    """ln BC per nat of rate, and its change per doubling of D as a share of its mean size, positive where overlap
    grows."""

    by_rate: float
    relative_by_doubling: float


def _images(codes: Mapping[str, xr.Dataset], lines: pd.DataFrame) -> pd.DataFrame:
    """``latent_dim``, ``kl`` and ``log_overlap`` (nats) of every image of the cells and replicates in ``lines``."""
    parts = [
        pd.DataFrame({"latent_dim": dim, "kl": one["kl_standard"], "log_overlap": one["log_bhattacharyya"]})
        for dim, one in zip(lines["latent_dim"], recorded(codes, lines), strict=True)
    ]
    return pd.concat(parts, ignore_index=True)


def _fit(images: pd.DataFrame) -> _Fit:
    log_dim = np.log2(images["latent_dim"].astype(float))
    design = np.column_stack([np.ones(len(images)), images["kl"], log_dim])
    overlap = images["log_overlap"].to_numpy()
    _, by_rate, by_doubling = np.linalg.lstsq(design, overlap, rcond=None)[0]
    return _Fit(float(by_rate), float(by_doubling / np.abs(overlap).mean()))
