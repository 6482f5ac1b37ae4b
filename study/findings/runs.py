"""Runs: what several runs of the first look, on fresh training seeds each, say beside each other, and all together.

    uv run python -m study.findings.runs study/findings/first_look study/findings/first_look-[23]

writes ``first_look-runs.csv``, the verdict of each run on each hypothesis; ``first_look-pooled.csv``, the verdicts on
all their trainings together; ``first_look-levels.csv``, the mean of each quantity of the feature map over the trainings
of each run; and ``first_look-vectors.csv``, every training of a vector. The commands of the runs stand in the folder's
README.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.numerals import plus_minus, probability, with_interval
from study.answers.results import Results
from study.answers.verdicts import verdicts
from study.findings.first_look import HERE, ROWS, maps

VERDICTS, POOLED, LEVELS, TRAININGS = (
    HERE / f"first_look-{name}.csv" for name in ("runs", "pooled", "levels", "vectors")
)

COLUMNS = [
    "run", "hypothesis", "family", "claim", "decision", "probability", "p_value", "adjusted", "effect", "value",
    "lower", "upper", "seeds",
]  # fmt: skip
"""Columns of ``first_look-runs.csv``."""

VECTORS = {
    "16, normal prior": {"latent_dim": 16, "prior": "standard_normal"},
    "16, mixture prior": {"latent_dim": 16, "prior": "gaussian_mixture"},
    "512, normal prior": {"latent_dim": 512, "prior": "standard_normal"},
}
"""Settings of the vectors."""

MEASURES = {
    "rate": "aggregate/train/rate",
    "error": "aggregate/held_out/reconstruction_error",
    "prior": "realism/prior/squared_frechet",
    "aggregate": "realism/aggregate_train/squared_frechet",
    "moment_normal": "realism/moment_normal/squared_frechet",
}
"""Quantities that are shown of vectors, with their addresses."""

Runs = Mapping[int | str, Results]

CHECKS_ASIDE = ("H4",)
"""Claims that no cell of the study bears on, though they have a verdict."""


def run_verdicts(folders: Sequence[Path]) -> pd.DataFrame:
    """One line per run and hypothesis, with the columns COLUMNS.

    Args:
        folders: the studies of the runs, in their order.
    """
    return verdicts_of({run: Results.some([folder]) for run, folder in enumerate(folders, 1)})


def verdicts_of(runs: Runs) -> pd.DataFrame:
    """One line per run and hypothesis, with the columns COLUMNS.

    Args:
        runs: results by the number or name of their run.
    """
    tables = [verdicts(results).assign(run=run) for run, results in runs.items()]
    return pd.concat(tables, ignore_index=True)[COLUMNS]


def pooled_verdicts(folders: Sequence[Path]) -> pd.DataFrame:
    """One line per hypothesis, with the columns COLUMNS, from the trainings of all runs as replicates of one cell each.

    Args:
        folders: the studies of the runs, whose cells differ in their seeds alone.
    """
    return verdicts(Results.some(folders)).assign(run="all")[COLUMNS]


def run_levels(folders: Sequence[Path]) -> pd.DataFrame:
    """One line per run, loss and quantity of the feature map: its mean over trainings and the standard error of that.

    Args:
        folders: the studies of the runs, in their order.
    """
    return levels_of({run: Results.some([folder]) for run, folder in enumerate(folders, 1)})


def levels_of(runs: Runs, latent_dim: int = 4096) -> pd.DataFrame:
    """One line per run, loss and quantity of the feature map: its mean over trainings and the standard error of that.

    Args:
        runs: results by the number or name of their run.
        latent_dim: dimensions of the map.
    """
    lines = []
    for run, of_run in runs.items():
        for loss, results in maps(of_run, latent_dim).items():
            for quantity, address in ROWS:
                values = results.values(address)["value"].astype(float)
                if seeds := len(values):
                    line = {"run": run, "loss": loss, "quantity": quantity, "seeds": seeds}
                    spread = values.std() if values.nunique() != 1 else 0.0  # and no rounding error
                    lines.append(line | {"mean": values.mean(), "standard_error": spread / seeds**0.5})
    return pd.DataFrame(lines)


def run_vectors(folders: Sequence[Path]) -> pd.DataFrame:
    """One line per run and training of a vector, with its rate, its error and the distances of three sources.

    Args:
        folders: the studies of the runs, in their order.
    """
    return vectors_of({run: Results.some([folder]) for run, folder in enumerate(folders, 1)})


def vectors_of(runs: Runs) -> pd.DataFrame:
    """One line per run and training of a vector, with its rate, its error and the distances of three sources.

    Args:
        runs: results by the number or name of their run.
    """
    lines = []
    for run, results in runs.items():
        for vector, settings in VECTORS.items():
            for updates, cells in results.where(**settings).by("updates").items():
                for replicate in range(len(cells.values(MEASURES["rate"]))):
                    line = {"run": run, "vector": vector, "updates": updates, "training": replicate}
                    lines.append(
                        line | {name: cells.values(address)["value"][replicate] for name, address in MEASURES.items()}
                    )
    return pd.DataFrame(lines)


def vector_table(table: pd.DataFrame) -> str:
    """The vectors in Markdown: the rate of each training, and means ± standard errors over the trainings of a run.

    Args:
        table: as :func:`run_vectors` gives it.
    """
    heads = ["vector", "updates", "run", "rate of each training", "squared error", "F of prior", "F of q_N", "F of G"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for (vector, updates, run), trainings in table.groupby(["vector", "updates", "run"]):
        rates = ", ".join(f"{value:.1f}" for value in trainings["rate"])
        root = len(trainings) ** 0.5
        cells = [plus_minus(trainings[name].mean(), trainings[name].std() / root) for name in list(MEASURES)[1:]]
        lines.append(f"| {vector} | {updates} | {run} | {rates} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def verdict_table(table: pd.DataFrame) -> str:
    """The verdicts that rest on cells, in Markdown, one column for each run.

    Args:
        table: as :func:`run_verdicts` or :func:`pooled_verdicts` gives it.
    """
    runs = [_title(run) for run in table["run"].unique()]
    lines = ["| | claim | " + " | ".join(runs) + " |", "|---" * (len(runs) + 2) + "|"]
    for hypothesis, of_claim in table.groupby("hypothesis", sort=False):
        if of_claim["value"].isna().all() or hypothesis in CHECKS_ASIDE:
            continue
        first = of_claim.iloc[0]
        star = " *" if first["family"] == "primary" else ""
        effect = f"{first['claim']} Effect: {first['effect']}.".replace("|", r"\|")
        cells = ["no cells" if pd.isna(line["value"]) else _verdict(line) for line in of_claim.to_dict("records")]
        lines.append(f"| {hypothesis}{star} | {effect} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def level_table(table: pd.DataFrame) -> str:
    """The quantities of the feature map in Markdown, one column for each loss and run.

    Args:
        table: as :func:`run_levels` gives it.
    """
    columns = _columns(table)
    lines = _head("", columns)
    for quantity, of_quantity in table.groupby("quantity", sort=False):
        at = of_quantity.set_index(["loss", "run"])
        cells = [plus_minus(at["mean"][place], at["standard_error"][place]) for place in columns]
        lines.append(f"| {quantity} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def standing(table: pd.DataFrame) -> dict[str, str]:
    """The decisions that are the same in all runs and not ``undecided``, by hypothesis.

    Args:
        table: as :func:`run_verdicts` gives it.
    """
    same = {str(name): set(of_claim["decision"]) for name, of_claim in table.groupby("hypothesis", sort=False)}
    return {name: min(found) for name, found in same.items() if len(found) == 1 and found != {"undecided"}}


def _columns(table: pd.DataFrame) -> list[tuple[str, int | str]]:
    """Loss and run of each column, of those that there are."""
    there = set(zip(table["loss"], table["run"], strict=True))
    every = [(loss, run) for loss in table["loss"].unique() for run in table["run"].unique()]
    return [column for column in every if column in there]


def _title(run: int | str) -> str:
    """What heads the column of a run."""
    return "all trainings" if run == "all" else run if isinstance(run, str) else f"run {run}"


def _head(corner: str, columns: Sequence[tuple[str, int | str]]) -> list[str]:
    """The first two lines of a table in Markdown."""
    heads = [corner, *(f"{loss}, {_title(run)}" for loss, run in columns)]
    return ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]


def _verdict(line: Mapping[Any, Any]) -> str:
    """Decision, effect with its interval, and the confidence level of the claim, in Markdown."""
    effect = with_interval(line["value"], line["lower"], line["upper"])
    level = probability(line["probability"], 2)
    likely = f"= {level}" if level[0].isdigit() else level
    adjusted = ""
    if line["family"] == "primary":
        adjusted = f", adjusted p {'< 0.001' if line['adjusted'] < 0.001 else f'= {line["adjusted"]:.3f}'}"
    return f"**{line['decision']}**, {effect}, confidence level {likely}{adjusted}"


def main(folders: Sequence[Path]) -> None:
    """Writes the four files.

    Args:
        folders: the studies of the runs, in their order.
    """
    run_verdicts(folders).to_csv(VERDICTS, index=False)
    pooled_verdicts(folders).to_csv(POOLED, index=False)
    run_levels(folders).to_csv(LEVELS, index=False)
    run_vectors(folders).to_csv(TRAININGS, index=False)


if __name__ == "__main__":
    main([Path(word) for word in sys.argv[1:]])
