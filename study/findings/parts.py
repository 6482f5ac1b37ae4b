"""Parts of the gap of the map, under both losses: what the rules of H20 and H9 weigh, which read the summed loss alone.

    uv run python -m study.findings.parts

writes ``confirmed-parts.csv`` from the exports of the confirming runs and of the question's model. Shares of the gap
F(prior) − F(q_N) have Fieller's 95 % interval over seeds; the noise of the evaluation is not added to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import pandas as pd

from analysis.interval import Interval
from analysis.numerals import plain
from study.findings import asker, confirmation
from study.findings.first_look import HERE, maps
from study.findings.runs import Runs

PARTS = HERE / "confirmed-parts.csv"

SOURCES: Final = {
    "standard": "prior",
    "mean": "mean_normal",
    "covariance": "centred_normal",
    "both": "moment_normal",
    "places": "shuffled_locations",
    "codes": "aggregate_train",
    "held_out": "aggregate_held_out",
}
"""Sources of samples by the name that the shares have for them."""

SHARES: Final[Mapping[str, Callable[[pd.DataFrame], tuple[pd.Series, pd.Series]]]] = {
    "one Gaussian": lambda f: (f["standard"] - f["both"], f["standard"] - f["codes"]),
    "the mean, over both orders (H20)": lambda f: (
        (f["standard"] - f["mean"] + f["covariance"] - f["both"]) / 2,
        f["standard"] - f["codes"],
    ),
    "the covariance, over both orders": lambda f: (
        (f["standard"] - f["covariance"] + f["mean"] - f["both"]) / 2,
        f["standard"] - f["codes"],
    ),
    "lost with the dependence between places (H9)": lambda f: (
        f["places"] - f["held_out"],
        f["standard"] - f["held_out"],
    ),
}
"""Numerator and denominator of each share, from the distances F by source."""


def parts_of(runs: Runs, latent_dim: int = 4096) -> pd.DataFrame:
    """One line per run, loss and share of SHARES, with its interval.

    Args:
        runs: results by the name of their run.
        latent_dim: dimensions of the map.
    """
    lines = []
    for run, of_run in runs.items():
        for loss, results in maps(of_run, latent_dim).items():
            distances = results.frame(**{name: f"realism/{source}/squared_frechet" for name, source in SOURCES.items()})
            if distances.empty:
                continue
            for part, share in SHARES.items():
                numerator, denominator = share(distances)
                interval = Interval.fieller([(numerator.tolist(), denominator.tolist())])
                line = {"run": run, "loss": loss, "part": part, "seeds": len(distances)}
                lines.append(line | {"value": interval.value, "lower": interval.lower, "upper": interval.upper})
    return pd.DataFrame(lines)


def preregistered_parts() -> pd.DataFrame:
    """The parts in the confirming runs and in the question's model."""
    sets = parts_of(confirmation.confirming())
    return pd.concat([sets, parts_of(asker.by_length(), asker.LATENT_DIM)], ignore_index=True)


def part_table(table: pd.DataFrame) -> str:
    """The parts in Markdown, one line for each run and loss.

    Args:
        table: as :func:`parts_of` gives it.
    """
    names = list(SHARES)
    lines = ["| map | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for (run, loss), of_map in table.groupby(["run", "loss"], sort=False):
        at = of_map.set_index("part")
        cells = [
            f"{plain(at['value'][name])} [{plain(at['lower'][name])}, {plain(at['upper'][name])}]" for name in names
        ]
        name = run if run in confirmation.SETS else f"1024 × 8 × 8, {run}"
        lines.append(f"| {name}, {loss} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Writes the file."""
    preregistered_parts().to_csv(PARTS, index=False)


if __name__ == "__main__":
    main()
