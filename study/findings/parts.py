"""Parts: the share of the gap that each source of samples closes, by several measures of what samples are worth.

    uv run python -m study.findings.parts

writes ``parts.csv`` from the exports of all runs. The gap in a measure Q is Q(prior) − Q(q_N), and the share that a
source closes is [Q(prior) − Q(source)] / [Q(prior) − Q(q_N)], with the sign turned where large values of Q are good.
Shares have Fieller's 95 % interval over seeds, to which the noise of evaluation is not added; where the gap itself
cannot be told from 0 a share is refused and has none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import pandas as pd

from analysis.interval import Interval
from analysis.numerals import share_with_interval
from study.answers.results import Results
from study.findings import asker, confirmation
from study.findings.first_look import HERE, maps
from study.findings.runs import VECTORS, Runs

PARTS = HERE / "parts.csv"

MEASURES: Final = {
    "F": ("squared_frechet", 1),
    "kernel distance": ("squared_kernel_distance", 1),
    "coverage": ("coverage", -1),
    "density": ("density", -1),
    "recall": ("recall", -1),
    "confidence": ("confidence", -1),
}
"""Measures of samples by what FINDINGS calls them, with the sign by which small values are good.

Precision is not among them: by it draws of the prior are as good as codes, or better, on several maps.
"""

SOURCES: Final = {
    "standard": "prior",
    "mean": "mean_normal",
    "permuted": "mean_permuted",
    "random": "mean_random",
    "variances": "variance_normal",
    "covariance": "centred_normal",
    "both": "moment_normal",
    "shell": "shell_prior",
    "shuffled": "shuffled_dimensions",
    "places": "shuffled_locations",
    "codes": "aggregate_train",
    "held_out": "aggregate_held_out",
}
"""Sources of samples by the name that the shares have for them."""

Share = Callable[[pd.DataFrame], tuple[pd.Series, pd.Series]]


def closed_by(source: str) -> Share:
    """Numerator and denominator of the share that one source closes."""
    return lambda f: (f["standard"] - f[source], f["standard"] - f["codes"])


ALONE: Final[Mapping[str, Share]] = {
    "N(m, I), the mean alone": closed_by("mean"),
    "N(0, C), the covariance alone": closed_by("covariance"),
    "G = N(m, C), both": closed_by("both"),
    "N(0, diag v), the variances alone": closed_by("variances"),
    "N(m permuted, I)": closed_by("permuted"),
    "N(random offset of equal norm, I)": closed_by("random"),
    "the prior, moved to the radius √D": closed_by("shell"),
    "codes with each dimension shuffled": closed_by("shuffled"),
}
"""Shares of single sources."""

ORDERED: Final[Mapping[str, Share]] = {
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
"""Shares that the rules of H20 and H9 weigh."""

SHARES: Final = {**ALONE, **ORDERED}

GAUSSIAN, MEAN, COVARIANCE, PLACES = "G = N(m, C), both", *ORDERED

RULED: Final = {
    GAUSSIAN: "one Gaussian",
    MEAN: MEAN,
    COVARIANCE: COVARIANCE,
    PLACES: PLACES,
}
"""Parts of the table of parts, with the heads of their columns."""


def parts_of(results: Results, run: object, model: str) -> pd.DataFrame:
    """One line per measure and share of SHARES, with its interval; none where nothing was measured.

    Args:
        results: of the cells of one model.
        run: its name or number.
        model: what FINDINGS calls the model.
    """
    lines = []
    for measure, (quantity, sign) in MEASURES.items():
        addresses = {name: f"realism/{source}/{quantity}" for name, source in SOURCES.items()}
        measured = {name: address for name, address in addresses.items() if len(results.values(address))}
        values = results.frame(**measured)
        for part, share in SHARES.items():
            try:
                numerator, denominator = share(values)
            except KeyError:  # a vector has no places to shuffle, and not every measure was taken of every source
                continue
            interval = Interval.fieller([((sign * numerator).tolist(), (sign * denominator).tolist())])
            line = {"run": run, "model": model, "measure": measure, "part": part, "seeds": len(values)}
            lines.append(line | {"value": interval.value, "lower": interval.lower, "upper": interval.upper})
    return pd.DataFrame(lines)


def parts_of_maps(runs: Runs, latent_dim: int = 4096) -> list[pd.DataFrame]:
    """The parts of the map by run and loss.

    Args:
        runs: results by the name of their run.
        latent_dim: dimensions of the map.
    """
    return [
        parts_of(results, run, loss)
        for run, of_run in runs.items()
        for loss, results in maps(of_run, latent_dim).items()
        if results.cells
    ]


def parts_of_vectors(runs: Runs) -> list[pd.DataFrame]:
    """The parts of each vector after its longest training, by run.

    Args:
        runs: results by the name of their run.
    """
    tables = []
    for run, of_run in runs.items():
        for vector, settings in VECTORS.items():
            if lengths := of_run.where(**settings).by("updates"):
                tables.append(parts_of(lengths[max(lengths)], run, f"vector of {vector}"))
    return tables


def exploratory() -> Runs:
    """The three runs of the first look, by what FINDINGS calls them."""
    folders = ("first_look", "first_look-2", "first_look-3")
    return {f"run {number}": Results.some([HERE / folder]) for number, folder in enumerate(folders, 1)}


def every_part() -> pd.DataFrame:
    """The parts of all models and runs, with the columns of ``parts.csv``."""
    runs = {**exploratory(), **confirmation.confirming()}
    longer: Runs = {f"MNIST, section 5.13, {updates} updates": cells for updates, cells in _plain_by_length().items()}
    of_maps = parts_of_maps({**runs, **longer}) + parts_of_maps(asker.by_length(), asker.LATENT_DIM)
    return pd.concat(of_maps + parts_of_vectors(runs), ignore_index=True)


def _plain_by_length() -> Runs:
    """The maps of the study of the first moment that have no constant, by length of training."""
    results = Results.some([HERE / "first_moment"])
    return results.plain("objective").where(network__place="none").by("updates")


def part_table(table: pd.DataFrame) -> str:
    """The parts that rules weigh, in F, one line for each map of a preregistered run, in Markdown.

    Args:
        table: as :func:`every_part` gives it.
    """
    of_maps = _of_maps(table[table["measure"] == "F"])
    return in_markdown(
        "map",
        [*RULED.values()],
        {
            _map_name(run, model): [share_text(found, part) for part in RULED]
            for (run, model), found in of_maps.groupby(["run", "model"], sort=False)
            if not str(run).startswith("run ")
        },
    )


def measure_table(table: pd.DataFrame, part: str) -> str:
    """One part by every measure, one line for each map, in Markdown.

    Args:
        table: as :func:`every_part` gives it.
        part: of SHARES.
    """
    return in_markdown(
        "map",
        list(MEASURES),
        {
            _map_name(run, model): [share_text(found[found["measure"] == measure], part) for measure in MEASURES]
            for (run, model), found in _of_maps(table).groupby(["run", "model"], sort=False)
        },
    )


def share_table(table: pd.DataFrame, runs: Sequence[str]) -> str:
    """The share that each single source closes, in F, one column for each loss and run, in Markdown.

    Args:
        table: as :func:`every_part` gives it.
        runs: their names.
    """
    in_frechet = table[table["measure"] == "F"].set_index(["model", "run"])
    columns = {f"{loss}, {run}": in_frechet.loc[[(loss, run)]] for loss in ("averaged", "summed") for run in runs}
    rows = {part: [share_text(of_map, part) for of_map in columns.values()] for part in ALONE}
    return in_markdown("draws of", list(columns), rows)


def _of_maps(table: pd.DataFrame) -> pd.DataFrame:
    return table[~table["model"].str.startswith("vector")]


def _map_name(run: object, model: object) -> str:
    return f"1024 × 8 × 8, {run}, {model}" if str(run)[0].isdigit() else f"{run}, {model}"


def share_text(found: pd.DataFrame, part: str) -> str:
    """A share with its interval; a dash where the gap cannot be told from 0, or nothing was measured.

    Args:
        found: lines of one model, run and measure.
        part: of SHARES.
    """
    lines = found[found["part"] == part].dropna(subset=["value"])
    if lines.empty:
        return "—"
    (line,) = lines.to_dict("records")
    return share_with_interval(line["value"], line["lower"], line["upper"])


def in_markdown(corner: str, heads: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
    """A table in Markdown.

    Args:
        corner: what heads the names of the rows; where these have several columns, the bars between them stand in it.
        heads: of the other columns.
        rows: cells by the name of their row.
    """
    lines = [f"| {corner} | " + " | ".join(heads) + " |", "|---" * (corner.count("|") + 1 + len(heads)) + "|"]
    return "\n".join([*lines, *(f"| {name} | " + " | ".join(cells) + " |" for name, cells in rows.items())])


def main() -> None:
    """Writes the file."""
    every_part().to_csv(PARTS, index=False)


if __name__ == "__main__":
    main()
