"""Confirmation: the preregistered runs of the first look on three data sets, and the question's own model.

    uv run python -m study.findings.confirmation

writes, from the exports under ``confirmed`` and ``asker`` beside this file, ``confirmed-verdicts.csv``, the verdict on
each hypothesis by data set; ``confirmed-levels.csv``, the mean of each quantity of the feature map by data set; and
``asker-verdicts.csv`` and ``asker-levels.csv``, the same of the map of 65,536 dimensions by length of training. What
was fixed before the runs stands in docs/explanation/preregistration.md.
"""

from __future__ import annotations

from typing import Final

from study.answers.results import Results
from study.findings.first_look import HERE
from study.findings.runs import Runs, levels_of, verdicts_of

SETS: Final = {"MNIST": "mnist", "Fashion-MNIST": "fashion_mnist", "coloured digits": "coloured_mnist_5k"}
"""Folders of the confirming runs by what FINDINGS calls their data."""

ASKER, ASKER_DIM = HERE / "asker", 65_536

VERDICTS, LEVELS = HERE / "confirmed-verdicts.csv", HERE / "confirmed-levels.csv"
ASKER_VERDICTS, ASKER_LEVELS = HERE / "asker-verdicts.csv", HERE / "asker-levels.csv"


def confirming() -> Runs:
    """The confirming runs by the name of their data."""
    return {title: Results.some([HERE / "confirmed" / folder]) for title, folder in SETS.items()}


def asking() -> Runs:
    """The question's model by length of training."""
    maps = Results.some([ASKER]).where(latent_dim=ASKER_DIM)
    return {f"{updates} updates": results for updates, results in maps.by("updates").items()}


def main() -> None:
    """Writes the four files."""
    verdicts_of(confirming()).to_csv(VERDICTS, index=False)
    levels_of(confirming()).to_csv(LEVELS, index=False)
    verdicts_of(asking()).to_csv(ASKER_VERDICTS, index=False)
    levels_of(asking(), ASKER_DIM).to_csv(ASKER_LEVELS, index=False)


if __name__ == "__main__":
    main()
