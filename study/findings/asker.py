"""The question's own model: tables of the preset ``asker`` from the exports of its cells beside this file.

    uv run python -m study.findings.asker

writes ``asker-levels.csv``, the mean of each quantity of the map of 65,536 dimensions by loss and length of training;
``asker-verdicts.csv``, the verdict on each hypothesis, of the whole study and of the map by length; and
``asker-vectors.csv``, every training of the vector of 16 dimensions behind the same network. The map was trained on all
images of MNIST besides, in a run of its own. What was fixed before the runs stands in
docs/explanation/preregistration.md.
"""

from __future__ import annotations

from study.answers.results import Results
from study.findings.first_look import HERE
from study.findings.runs import Runs, levels_of, vectors_of, verdicts_of

EXPORT, ALL_IMAGES, LATENT_DIM = HERE / "asker", HERE / "asker_all_images", 65_536

LEVELS, VERDICTS, TRAININGS = (HERE / f"asker-{name}.csv" for name in ("levels", "verdicts", "vectors"))


def by_length() -> Runs:
    """The cells of the map by length of training, those on all images last."""
    maps = Results.some([EXPORT]).where(latent_dim=LATENT_DIM)
    longest = Results.some([ALL_IMAGES])
    return {
        **{f"{updates} updates": results for updates, results in maps.by("updates").items()},
        **{f"{updates} updates, all images": results for updates, results in longest.by("updates").items()},
    }


def judged() -> Runs:
    """What is judged: the whole study of the preset, vectors included, and the map alone by length of training."""
    return {"the whole study": Results.some([EXPORT]), **by_length()}


def main() -> None:
    """Writes the three files."""
    levels_of(by_length(), LATENT_DIM).to_csv(LEVELS, index=False)
    verdicts_of(judged()).to_csv(VERDICTS, index=False)
    vectors_of({"MNIST": Results.some([EXPORT])}).to_csv(TRAININGS, index=False)


if __name__ == "__main__":
    main()
