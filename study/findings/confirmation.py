"""Confirmation: tables of the preregistered runs of the first look on three data sets, from the exports of their cells.

    uv run python -m study.findings.confirmation

writes, from the folders in ``confirmed`` beside this file, ``confirmed-verdicts.csv``, the verdict on each hypothesis
by data set; ``confirmed-levels.csv``, the mean of each quantity of the feature map by data set; and
``confirmed-vectors.csv``, every training of a vector. What was fixed before the runs stands in
docs/explanation/preregistration.md.
"""

from __future__ import annotations

from typing import Final

from study.answers.results import Results
from study.findings.first_look import HERE
from study.findings.runs import Runs, levels_of, vectors_of, verdicts_of

SETS: Final = {"MNIST": "mnist", "Fashion-MNIST": "fashion_mnist", "coloured MNIST": "coloured_mnist_5k"}
"""Folders of the runs by what FINDINGS calls their data."""

VERDICTS, LEVELS, TRAININGS = (HERE / f"confirmed-{name}.csv" for name in ("verdicts", "levels", "vectors"))


def confirming() -> Runs:
    """The runs by the name of their data."""
    return {title: Results.some([HERE / "confirmed" / folder]) for title, folder in SETS.items()}


def main() -> None:
    """Writes the three files."""
    verdicts_of(confirming()).to_csv(VERDICTS, index=False)
    levels_of(confirming()).to_csv(LEVELS, index=False)
    vectors_of(confirming()).to_csv(TRAININGS, index=False)


if __name__ == "__main__":
    main()
