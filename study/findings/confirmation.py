"""Confirmation: tables of the preregistered runs of the first look on three data sets, from the exports of their cells.

    uv run python -m study.findings.confirmation

writes, from the folders in ``confirmed`` beside this file, ``confirmed-verdicts.csv``, the verdict on each hypothesis
by data set; ``confirmed-levels.csv``, the mean of each quantity of the feature map by data set; and
``confirmed-vectors.csv``, every training of a vector. What was fixed before the runs stands in
docs/explanation/preregistration.md.
"""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

from analysis.multiplicity import holm
from study.answers.results import Results
from study.findings.first_look import HERE
from study.findings.runs import Runs, levels_of, vectors_of, verdicts_of

SETS: Final = {"MNIST": "mnist", "Fashion-MNIST": "fashion_mnist", "coloured MNIST": "coloured_mnist_5k"}
"""Folders of the runs by what FINDINGS calls their data."""

VERDICTS, LEVELS, TRAININGS = (HERE / f"confirmed-{name}.csv" for name in ("verdicts", "levels", "vectors"))


FAMILY_SIZE, ERROR = 6, 0.05
"""Number of primary claims, H7 among them, which other runs decide; and what their adjusted p-values must be below."""

PRIMARY: Final = {
    "H20": "first moment",
    "H8": "moment repair",
    "H9": "map against vector",
    "H10": "sum against average",
    "H14": "N(μ(x), s²I) keeps the digit",
}
"""The primary claims that these runs decide, by their number."""


def confirming() -> Runs:
    """The runs by the name of their data."""
    return {title: Results.some([HERE / "confirmed" / folder]) for title, folder in SETS.items()}


def outcome_table(verdicts: pd.DataFrame) -> str:
    """Decision and adjusted p-value of each primary claim by set, with the preregistered outcome, in Markdown.

    Args:
        verdicts: as :func:`~study.findings.runs.verdicts_of` gives them; their own adjustment, which counts H7, is made
            anew without it.
    """
    decisions: dict[str, dict[str, str]] = {name: {} for name in PRIMARY}
    cells: dict[str, list[str]] = {name: [] for name in PRIMARY}
    for run, of_run in verdicts.groupby("run", sort=False):
        lines = of_run.set_index("hypothesis").loc[list(PRIMARY)]
        for (name, line), p_value in zip(lines.iterrows(), holm(lines["p_value"], FAMILY_SIZE), strict=True):
            decision = line["decision"] if p_value < ERROR else "undecided"
            decisions[str(name)][str(run)] = decision
            cells[str(name)].append(f"{decision}, p {'< 0.001' if p_value < 0.001 else f'= {p_value:.3f}'}")
    heads = ["", *decisions["H20"], "outcome"]
    rows = [
        f"| {name} {title} | " + " | ".join(cells[name]) + f" | {outcome(decisions[name])} |"
        for name, title in PRIMARY.items()
    ]
    return "\n".join(["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|", *rows])


def outcome(decisions: dict[str, Any]) -> str:
    """What the preregistration calls a claim: confirmed where MNIST supports it, and general where all sets do.

    Args:
        decisions: on the claim, by the title of the set.
    """
    found = set(decisions.values())
    if decisions["MNIST"] == "supported":
        called = "confirmed, general" if found == {"supported"} else "confirmed"
    else:
        called = "not confirmed" + (f"; {decisions['MNIST']} on MNIST" if decisions["MNIST"] != "undecided" else "")
    return called + (", specific to the data" if "supported" in found and found & {"refuted", "not supported"} else "")


def main() -> None:
    """Writes the three files."""
    verdicts_of(confirming()).to_csv(VERDICTS, index=False)
    levels_of(confirming()).to_csv(LEVELS, index=False)
    vectors_of(confirming()).to_csv(TRAININGS, index=False)


if __name__ == "__main__":
    main()
