"""First moment: tables of the preset ``first_moment``, which asks where the mean of the codes of a map comes from.

    uv run python -m study.findings.first_moment

writes, from the export of its cells beside this file, ``first_moment-levels.csv``, the mean of each quantity by model,
loss and length; ``first_moment-left.csv``, what a learned number per place, and a prior with a learned mean, leave of
the mean of the codes and of the prior's gap; ``first_moment-shares.csv``, the three numbers of H20 by model; and
``first_moment-verdicts.csv``. What was fixed before the run stands in docs/explanation/preregistration.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import pandas as pd

from analysis.interval import Interval
from study.answers.results import Results
from study.findings.first_look import HERE, OBJECTIVES
from study.findings.runs import Runs, verdict_table, verdicts_of
from study.findings.trainings import ends, interval_table, mean_table, means, measured

EXPORT = HERE / "first_moment"

LEVELS, LEFT, SHARES, VERDICTS = (
    HERE / f"first_moment-{name}.csv" for name in ("levels", "left", "shares", "verdicts")
)

PLAIN = "no constant"

MODELS: Final = {
    PLAIN: {"network__place": "none", "prior": "standard_normal"},
    "constant before the decoder": {"network__place": "decoder", "prior": "standard_normal"},
    "bias of the encoder": {"network__place": "encoder", "prior": "standard_normal"},
    "learned mean of the prior": {"network__place": "none", "prior": "shifted_normal"},
}
"""Models that differ in one learned number per place and dimension, by where it is."""

BY = ("loss", "updates", "model")
"""What levels are means by, and shares are shown for."""

ROWS: Final = {
    "½‖m‖²": "aggregate/train/kl_mean",
    "rate": "aggregate/train/rate",
    "KL(q_N ‖ p)": "aggregate/train/kl",
    "refinement gains": "aggregate/train/amortisation_gap",
    "squared error": "aggregate/held_out/reconstruction_error",
    "keeps the digit": "realism/local/label_agreement_1",
    "F of prior": "realism/prior/squared_frechet",
    "F of N(m, I)": "realism/mean_normal/squared_frechet",
    "F of N(0, C)": "realism/centred_normal/squared_frechet",
    "F of G": "realism/moment_normal/squared_frechet",
    "F of q_N": "realism/aggregate_train/squared_frechet",
}
"""Quantities by what FINDINGS calls them, with their addresses; ½‖m‖² is what the mean costs under the own prior."""

CONTROLS: Final = {
    "F of N(m permuted, I)": "realism/mean_permuted/squared_frechet",
    "F of q_N − m": "realism/aggregate_centred/squared_frechet",
}
"""What H20 weighs besides."""

REMAINS: Final[Mapping[str, Callable[[pd.DataFrame], pd.Series]]] = {
    "½‖m‖²": lambda lines: lines["½‖m‖²"],
    "gap in F": lambda lines: lines["F of prior"] - lines["F of q_N"],
}
"""Of what a share may be left."""


ASKED: Final[Mapping[str, Callable[[pd.DataFrame], tuple[pd.Series, pd.Series]]]] = {
    "share of the mean": lambda lines: (
        (lines["F of prior"] - lines["F of N(m, I)"] + lines["F of N(0, C)"] - lines["F of G"]) / 2,
        lines["F of prior"] - lines["F of q_N"],
    ),
    "m permuted, over m": lambda lines: (
        lines["F of prior"] - lines["F of N(m permuted, I)"],
        lines["F of prior"] - lines["F of N(m, I)"],
    ),
    "brought about without m": lambda lines: (
        lines["F of q_N − m"] - lines["F of q_N"],
        lines["F of prior"] - lines["F of q_N"],
    ),
}
"""The ratios of H20, as its rule has them: each a numerator and a denominator by training."""


def trainings(results: Results) -> pd.DataFrame:
    """One line per model, loss, length and seed, with the quantities of ROWS and CONTROLS that the model has."""
    tables = [
        measured(results.where(objective=objective, **settings), ROWS | CONTROLS).assign(model=model, loss=loss)
        for loss, objective in OBJECTIVES.items()
        for model, settings in MODELS.items()
    ]
    lines = pd.concat([table for table in tables if len(table)], ignore_index=True)
    places = {name: place for names in (OBJECTIVES, MODELS) for place, name in enumerate(names)}
    return lines.sort_values([*BY, "replicate"], key=lambda column: column.map(lambda value: places.get(value, value)))


def left(lines: pd.DataFrame) -> pd.DataFrame:
    """What each model leaves of the mean and of the gap of the plain one, paired by seed, with Fieller's interval.

    Args:
        lines: as :func:`trainings` gives them.
    """
    found = []
    for (loss, updates), training in lines.groupby(["loss", "updates"], sort=False):
        by_model = {model: cell.set_index("replicate") for model, cell in training.groupby("model", sort=False)}
        if PLAIN not in by_model:
            continue
        for model in filter(lambda name: name != PLAIN, by_model):
            for name, quantity in REMAINS.items():
                both = {"left": quantity(by_model[model]), "whole": quantity(by_model[PLAIN])}
                pairs = pd.DataFrame(both).dropna()
                share = Interval.fieller([(pairs["left"].tolist(), pairs["whole"].tolist())])
                line = {"loss": loss, "updates": updates, "model": model, "quantity": name}
                found.append(line | ends(share))
    return pd.DataFrame(found)


def shares(lines: pd.DataFrame) -> pd.DataFrame:
    """The ratios of H20 for each model, over its seeds, with Fieller's interval.

    A prior with a learned mean is left out: to its draws, which are not N(0, I), no moments of the codes were added.

    Args:
        lines: as :func:`trainings` gives them.
    """
    found = []
    for (loss, updates, model), cell in lines.groupby(list(BY), sort=False):
        if cell["F of N(m, I)"].isna().all():
            continue
        line = {"loss": loss, "updates": updates, "model": model}
        for name, ratio in ASKED.items():
            above, below = ratio(cell)
            share = Interval.fieller([(above.tolist(), below.tolist())])
            found.append(line | {"quantity": name} | ends(share))
    return pd.DataFrame(found)


def tables() -> dict[str, str]:
    """The tables in Markdown, by their marks, from the files."""
    training = {name: name for name in BY}
    heads = {name: f"left of {name}" for name in REMAINS}
    return {
        "first-moment-levels": mean_table(pd.read_csv(LEVELS), training, list(ROWS)),
        "first-moment-left": interval_table(pd.read_csv(LEFT), training, "quantity", heads),
        "first-moment-shares": interval_table(
            pd.read_csv(SHARES), training, "quantity", {name: name for name in ASKED}
        ),
        "first-moment-verdicts": verdict_table(pd.read_csv(VERDICTS)),
    }


def judged() -> Runs:
    """What is judged: all cells, and those of the plain model alone by length of training."""
    results = Results.some([EXPORT])
    plain = results.where(**MODELS[PLAIN]).by("updates")
    return {"all cells": results, **{f"{PLAIN}, {updates} updates": cells for updates, cells in plain.items()}}


def main() -> None:
    """Writes the four files."""
    lines = trainings(Results.some([EXPORT]))
    means(lines, BY, list(ROWS)).to_csv(LEVELS, index=False)
    left(lines).to_csv(LEFT, index=False)
    shares(lines).to_csv(SHARES, index=False)
    verdicts_of(judged()).to_csv(VERDICTS, index=False)


if __name__ == "__main__":
    main()
