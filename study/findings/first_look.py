"""Tables and the picture of the first look, from the export of its cells beside this file.

    uv run python -m study.findings.first_look

writes ``first_look.csv``, ``first_look-verdicts.csv`` and ``first_look.png``. The export was made by ``latent-study
run`` and ``latent-study export results/first_look study/findings``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from analysis.numerals import plus_minus
from study.answers.formats import Format
from study.answers.listing import WIDEST
from study.answers.report import chapters
from study.answers.results import Results
from study.answers.tables import summary_text
from study.answers.terminal import cell_table
from study.answers.verdicts import verdict_text

HERE = Path(__file__).parent
EXPORT = HERE / "first_look"

QUANTITIES = (
    "rms_loc", "mean_scale", "rate", "information", "kl", "kl_moments", "kl_mean", "kl_variances", "kl_correlations",
    "kl_certified_aggregate", "certified_by_mean", "certified_gap", "norm_auc", "log_ratio_auc", "reconstruction_error",
    "squared_frechet", "label_agreement_*", "active_units",
)  # fmt: skip
"""Quantities in ``first_look.csv``."""

OBJECTIVES = {"averaged": "both_means", "summed": "elbo", "latent term averaged": "kl_mean"}

ROWS = (
    ("(a) squared error per pixel, held out", "aggregate/held_out/reconstruction_error"),
    ("(b) root mean square of μ_d", "aggregate/train/rms_loc"),
    ("(b) mean of σ_d", "aggregate/train/mean_scale"),
    ("(d) share of N(μ(x), I) that keeps the digit", "realism/local/label_agreement_1"),
    ("the same of reconstructions", "realism/local/label_agreement_0"),
    ("rate, nats", "aggregate/train/rate"),
    ("KL(q_N ‖ p), nats", "aggregate/train/kl"),
    ("KL(G ‖ p), nats: its mean", "aggregate/train/kl_mean"),
    ("… its variances", "aggregate/train/kl_variances"),
    ("… its correlations", "aggregate/train/kl_correlations"),
    ("nats of KL(q_∞ ‖ p) certified by N(m, I)", "aggregate/held_out/certified_by_mean"),
    ("… by N(m, C)", "densities/moment_normal/certified_gap"),
    ("AUC of norms, q_N against p", "aggregate/train/norm_auc"),
    ("AUC of densities", "aggregate/train/log_ratio_auc"),
    ("AUC of densities, codes of held-out images", "aggregate/held_out/log_ratio_auc"),
    ("active units", "aggregate/train/active_units"),
    ("(c) F of N(0, I)", "realism/prior/squared_frechet"),
    ("F of q_N", "realism/aggregate_train/squared_frechet"),
    ("(c) F of codes of held-out images", "realism/aggregate_held_out/squared_frechet"),
    ("F of N(m, I), the mean alone", "realism/mean_normal/squared_frechet"),
    ("F of N(m permuted over dimensions, I)", "realism/mean_permuted/squared_frechet"),
    ("F of N(random offset of equal norm, I)", "realism/mean_random/squared_frechet"),
    ("F of N(−m, I)", "realism/mean_negated/squared_frechet"),
    ("F of N(0, diag v), the variances alone", "realism/variance_normal/squared_frechet"),
    ("F of N(0, C), the covariance alone", "realism/centred_normal/squared_frechet"),
    ("F of N(m, C) = G", "realism/moment_normal/squared_frechet"),
    ("F of q_N less its mean", "realism/aggregate_centred/squared_frechet"),
    ("F of prior draws moved to the radius √D", "realism/shell_prior/squared_frechet"),
    ("F of codes with each dimension shuffled", "realism/shuffled_dimensions/squared_frechet"),
    ("F of codes with the places of their maps shuffled", "realism/shuffled_locations/squared_frechet"),
    ("F of reconstructions", "realism/reconstruction/squared_frechet"),
    ("F of real images among themselves", "realism/held_out/squared_frechet"),
    ("coverage of N(0, I)", "realism/prior/coverage"),
    ("coverage of G", "realism/moment_normal/coverage"),
    ("coverage of q_N", "realism/aggregate_train/coverage"),
    ("precision of N(0, I)", "realism/prior/precision"),
    ("precision of G", "realism/moment_normal/precision"),
    ("precision of q_N", "realism/aggregate_train/precision"),
)
"""Quantities of the feature map, with the address of each."""

STRIP = (
    ("held_out", "real"),
    ("reconstruction", "reconstruction"),
    ("local", "around a code: N(μ(x), I)"),
    ("aggregate_train", "aggregate of the codes"),
    ("prior", "prior: N(0, I)"),
    ("mean_normal", "the prior, moved to\nthe mean of the codes"),
    ("moment_normal", "normal with the mean and\ncovariance of the codes"),
)
"""Sources of the picture, with their titles."""


def maps(results: Results, latent_dim: int = 4096) -> dict[str, Results]:
    """The cells of the feature map, by what FINDINGS calls their loss.

    Args:
        results: of a study.
        latent_dim: dimensions of the map.
    """
    return {title: results.where(latent_dim=latent_dim, objective=name) for title, name in OBJECTIVES.items()}


def mean_and_error(results: Results, address: str) -> str:
    """Mean over trainings ± its standard error, in text; empty where nothing of ``results`` has the ``address``."""
    values = results.values(address)["value"].to_numpy(dtype=float)
    if not len(values):
        return ""
    return plus_minus(float(values.mean()), float(values.std(ddof=1) / len(values) ** 0.5))


def printed_table() -> str:
    """The table that the study prints, as README and FINDINGS show it."""
    (chapter,) = chapters([EXPORT])
    return f"```\n{cell_table(chapter.results, WIDEST)}\n```"


def picture(results: Results) -> Figure:
    """Ten pictures of each source, from the first training of the averaged map, with the mean distance."""
    averaged = maps(results)["averaged"]
    pixels = averaged.cells[0].contents.group("samples")["pixels"].isel(chain=0)
    figure = Figure(figsize=(13, 1.75), dpi=100)
    for place, (source, title) in enumerate(STRIP):
        axes = figure.add_axes((place / len(STRIP) + 0.004, 0.14, 1 / len(STRIP) - 0.008, 0.6))
        framed = np.pad(pixels.sel(source=source).values[:10, 0], ((0, 0), (1, 1), (1, 1)), constant_values=90)
        axes.imshow(np.block([[*framed[:5]], [*framed[5:]]]), cmap="gray", vmin=0, vmax=255)
        axes.set_axis_off()
        axes.set_title(title, fontsize=9)
        text = mean_and_error(averaged, f"realism/{source}/squared_frechet")
        axes.text(0.5, -0.1, text, transform=axes.transAxes, ha="center", va="top", fontsize=11)
    return figure


def main() -> None:
    """Writes the files."""
    results = Results.load([EXPORT])
    (HERE / "first_look.csv").write_text(summary_text([EXPORT], Format.CSV, QUANTITIES), "utf-8")
    (HERE / "first_look-verdicts.csv").write_text(verdict_text([EXPORT], Format.CSV, None), "utf-8")
    picture(results).savefig(HERE / "first_look.png", facecolor="white")


if __name__ == "__main__":
    main()
