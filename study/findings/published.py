"""Published: tables of the preset ``published``, log p(x) of held-out images beside the numbers of the literature.

    uv run python -m study.findings.published

writes, from the export of its cells beside this file, ``published-levels.csv``, the bound on log p(x) by model and
length with what was published; and ``published-differences.csv``, by how much a model is above the plain one, paired by
seed, with the same. Beside them stands ``published-plain.csv``, what a loop of plain PyTorch reaches
(:mod:`study.findings.plain_loop`). What was fixed before the run stands in docs/explanation/preregistration.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from analysis.interval import Interval
from analysis.numerals import plain, plus_minus, with_interval
from study.answers.results import Results
from study.findings.first_look import HERE
from study.findings.parts import in_markdown
from study.findings.trainings import ENDS, ends

EXPORT = HERE / "published"

LEVELS, DIFFERENCES, OUTSIDE = (HERE / f"published-{name}.csv" for name in ("levels", "differences", "plain"))


class Published(NamedTuple):
    """A model of a published table.

    settings: of its cells here.
    log_px: of MNIST, binarised anew in each epoch, by 5,000 importance samples, in nats.
    error: of that, as published; NaN where none was.
    plain: the model that it is compared with, if it is compared.
    """

    settings: Mapping[str, Any]
    log_px: float
    error: float = np.nan
    plain: str = ""


STANDARD, VAE, SMALL_BATCHES = "standard prior, D = 40", "VAE, D = 50", "VAE, D = 50, batches of 20"

MODELS: Final = {
    # Norouzi et al. 2020, arXiv:2004.04795, density estimation, one stochastic layer; dynamic MNIST.
    STANDARD: Published({"network": "gated", "prior": "standard_normal"}, -84.45, 0.12),
    "VampPrior, D = 40": Published({"network": "gated", "prior": "vamp"}, -82.43, 0.06, STANDARD),
    "exemplar prior, D = 40": Published({"network": "gated", "prior": "exemplar"}, -82.09, 0.18, STANDARD),
    # Burda, Grosse & Salakhutdinov 2016, arXiv:1509.00519, table 1, one stochastic layer.
    VAE: Published({"network": "mlp", "objective": "elbo", "train__batch_size": 100}, -86.76),
    SMALL_BATCHES: Published({"network": "mlp", "objective": "elbo", "train__batch_size": 20}, -86.76),
    "IWAE, 5 draws, D = 50": Published({"network": "mlp", "objective__draws": 5}, -85.54, plain=VAE),
    "IWAE, 50 draws, D = 50": Published({"network": "mlp", "objective__draws": 50}, -84.78, plain=VAE),
}
"""Models by what FINDINGS calls them, with what was published of each; batches of 20 are not in the preset."""

ROWS: Final = {
    "log p(x)": "aggregate/held_out/log_px_all",
    "gain of 5,000 draws": "aggregate/held_out/log_px_gain",
    "unreliable": "aggregate/held_out/log_px_unreliable_share",
    "rate": "aggregate/train/rate",
    "active units": "aggregate/train/active_units",
    "F of prior": "realism/prior/squared_frechet",
}
"""Quantities by what FINDINGS calls them, with their addresses."""

ELBO: Final = "held-out ELBO"
"""Of all held-out images: what log p(x) is without the gain."""

COLUMNS: Final = (*list(ROWS)[:2], ELBO, *list(ROWS)[2:])
"""What is shown of each model."""


def trainings(results: Results) -> pd.DataFrame:
    """One line per model, length and seed, with the quantities of COLUMNS, in the order of MODELS."""
    tables = [results.where(**model.settings).frame(**ROWS).assign(model=name) for name, model in MODELS.items()]
    in_order = [table.sort_values(["updates", "replicate"]) for table in tables if len(table)]
    lines = pd.concat(in_order, ignore_index=True)
    return lines.assign(**{ELBO: lines["log p(x)"] - lines["gain of 5,000 draws"]})


def levels(lines: pd.DataFrame) -> pd.DataFrame:
    """Mean of each quantity by model and length, its standard error over seeds, and what was published of log p(x).

    Args:
        lines: as :func:`trainings` gives them.
    """
    found = []
    for (model, updates), cell in lines.groupby(["model", "updates"], sort=False):
        of_cell = {"model": model, "updates": updates, "seeds": len(cell)}
        for name in COLUMNS:
            of_cell |= {name: cell[name].mean(), f"{name}, error": cell[name].std() / len(cell) ** 0.5}
        literature = MODELS[str(model)]
        found.append(of_cell | {"published": literature.log_px, "published, error": literature.error})
    return pd.DataFrame(found)


def differences(lines: pd.DataFrame) -> pd.DataFrame:
    """By how much log p(x) of a model is above that of the plain one, paired by seed, with Student's interval.

    Args:
        lines: as :func:`trainings` gives them.
    """
    found = []
    for name, model in MODELS.items():
        if not model.plain:
            continue
        for updates, cell in lines[lines["model"] == name].groupby("updates"):
            other = lines[(lines["model"] == model.plain) & (lines["updates"] == updates)]
            gained = cell.set_index("replicate")["log p(x)"] - other.set_index("replicate")["log p(x)"]
            of_pair = {"model": name, "above": model.plain, "updates": updates}
            published = model.log_px - MODELS[model.plain].log_px
            found.append(of_pair | ends(Interval.student_t(gained.dropna().tolist())) | {"published": published})
    return pd.DataFrame(found, columns=["model", "above", "updates", *ENDS, "published"])


def level_table(table: pd.DataFrame) -> str:
    """Means ± standard errors in Markdown, one line for each model and length; one seed has no error.

    Args:
        table: as :func:`levels` gives it.
    """
    rows = {}
    for line in table.to_dict("records"):
        below = line["log p(x)"] - line["published"]
        measured = [_measured(line[name], line[f"{name}, error"]) for name in COLUMNS]
        published = _published(line["published"], line["published, error"])
        rows[f"{line['model']} | {line['updates']} | {line['seeds']}"] = [
            *measured, published, f"{below:.2f}".replace("-", "−")
        ]  # fmt: skip
    return in_markdown("model | updates | seeds", [*COLUMNS, "published log p(x)", "ours less published"], rows)


def difference_table(table: pd.DataFrame) -> str:
    """Differences with their intervals in Markdown.

    Args:
        table: as :func:`differences` gives it.
    """
    rows = {
        f"{line['model']} | {line['above']} | {line['updates']}": [
            with_interval(line["value"], line["lower"], line["upper"]),
            f"{line['published']:.2f}",
        ]
        for line in table.to_dict("records")
    }
    return in_markdown("model | above | updates", ["nats", "published"], rows)


def outside_table(table: pd.DataFrame) -> str:
    """What the loop outside this software reaches, ± standard errors over images, in Markdown.

    Args:
        table: as :func:`study.findings.plain_loop.main` writes it.
    """
    rows = {
        f"{line['updates']}": [plus_minus(line[name], line[f"{name}, error"]) for name in ("held-out ELBO", "rate")]
        for line in table.to_dict("records")
    }
    return in_markdown("updates", ["held-out ELBO", "rate"], rows)


def tables() -> dict[str, str]:
    """The tables in Markdown, by their marks, from the files."""
    return {
        "published-levels": level_table(pd.read_csv(LEVELS)),
        "published-differences": difference_table(pd.read_csv(DIFFERENCES)),
        "published-plain": outside_table(pd.read_csv(OUTSIDE)),
    }


def _measured(value: float, error: float) -> str:
    """``value ± error``; without an error to say how many, four digits."""
    return plain(value, 4) if np.isnan(error) else plus_minus(value, error)


def _published(value: float, error: float) -> str:
    return f"{value:.2f}".replace("-", "−") + ("" if np.isnan(error) else f" ± {error:.2f}")


def main() -> None:
    """Writes the two files."""
    lines = trainings(Results.some([EXPORT]))
    levels(lines).to_csv(LEVELS, index=False)
    differences(lines).to_csv(DIFFERENCES, index=False)


if __name__ == "__main__":
    main()
