"""The question's own model: tables of the preset ``asker`` from the export of its cells beside this file.

    uv run python -m study.findings.asker

writes ``asker-levels.csv``, the mean of each quantity of the map of 65,536 dimensions by loss and length of training,
and ``asker-verdicts.csv``, the verdict on each hypothesis by length. What was fixed before the run stands in
docs/explanation/preregistration.md.
"""

from __future__ import annotations

from study.answers.results import Results
from study.findings.first_look import HERE
from study.findings.runs import Runs, levels_of, verdicts_of

EXPORT, LATENT_DIM = HERE / "asker", 65_536

LEVELS, VERDICTS = HERE / "asker-levels.csv", HERE / "asker-verdicts.csv"


def by_length() -> Runs:
    """The cells of the map by length of training."""
    maps = Results.some([EXPORT]).where(latent_dim=LATENT_DIM)
    return {f"{updates} updates": results for updates, results in maps.by("updates").items()}


def main() -> None:
    """Writes the two files."""
    levels_of(by_length(), LATENT_DIM).to_csv(LEVELS, index=False)
    verdicts_of(by_length()).to_csv(VERDICTS, index=False)


if __name__ == "__main__":
    main()
