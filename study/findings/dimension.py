"""Dimension: tables of the preset ``dimension``, vectors of 2 to 2,048 dimensions at several lengths of training.

    uv run python -m study.findings.dimension

writes, from the export of its cells beside this file, ``dimension-levels.csv``, the mean of each quantity by training
and dimension; ``dimension-growth.csv``, what the mismatch gains per doubling of the dimension; ``dimension-later.csv``,
what held-out images gain between one length and the next; and ``dimension-verdicts.csv``. What was fixed before the run
stands in docs/explanation/preregistration.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Final

import numpy as np
import pandas as pd

from analysis.interval import Interval
from study.answers.results import Results
from study.findings.first_look import HERE
from study.findings.runs import Runs, verdict_table, verdicts_of
from study.findings.trainings import ENDS, ends, interval_table, mean_table, means

EXPORT = HERE / "dimension"

LEVELS, GROWTH, LATER, VERDICTS = (HERE / f"dimension-{name}.csv" for name in ("levels", "growth", "later", "verdicts"))

ARMS: Final = {
    "constant rate": {"likelihood": "bernoulli", "train__schedule": "constant"},
    "falling rate": {"likelihood": "bernoulli", "train__schedule": "cosine"},
    "learned variance": {"likelihood": "gaussian_shared"},
}
"""Kinds of training, with their settings."""

BY = ("arm", "updates", "latent_dim")
"""What levels are means by."""

ROWS: Final = {
    "rate": "aggregate/train/rate",
    "KL(q_N ‖ p)": "aggregate/train/kl",
    "certified": "aggregate/held_out/kl_certified_aggregate",
    "certified by G": "aggregate/held_out/certified_by_moments",
    "active units": "aggregate/train/active_units",
    "squared error": "aggregate/held_out/reconstruction_error",
    "held-out ELBO": "aggregate/held_out/elbo",
    "F of prior": "realism/prior/squared_frechet",
    "F of q_N": "realism/aggregate_train/squared_frechet",
    "F of G": "realism/moment_normal/squared_frechet",
}
"""Quantities by what FINDINGS calls them, with the address of each."""

GROWING: Final[Mapping[str, Callable[[pd.DataFrame], pd.Series]]] = {
    "KL(q_N ‖ p), nats": lambda lines: lines["KL(q_N ‖ p)"],
    "certified lower end, nats": lambda lines: lines["certified"],
    "certified by G, nats": lambda lines: lines["certified by G"],
    "rate, nats": lambda lines: lines["rate"],
    "F of prior": lambda lines: lines["F of prior"],
    "gap in F": lambda lines: lines["F of prior"] - lines["F of q_N"],
}
"""What may grow with the dimension."""


def trainings(results: Results) -> pd.DataFrame:
    """One line per arm, length, dimension and seed, with the quantities of ROWS; of cells that have them all."""
    tables = [results.where(**settings).frame(**ROWS).assign(arm=arm) for arm, settings in ARMS.items()]
    in_order = [table.sort_values(["updates", "latent_dim", "replicate"]) for table in tables if len(table)]
    return pd.concat(in_order, ignore_index=True)


def growth(lines: pd.DataFrame) -> pd.DataFrame:
    """Slopes in log2 D of what may grow, one per seed, with Student's interval over seeds, by arm, range and length.

    Slopes are over all dimensions of an arm, and over those that all arms have, so that arms can be compared. Those of
    different lengths are over the same dimensions: a length that lacks one of its arm has none, as has one dimension.

    Args:
        lines: as :func:`trainings` gives them.
    """
    found = []
    dims = {str(arm): frozenset(cells["latent_dim"]) for arm, cells in lines.groupby("arm", sort=False)}
    common = frozenset.intersection(*dims.values())
    for (arm, updates), training in lines.groupby(["arm", "updates"], sort=False):
        if not dims[str(arm)] <= set(training["latent_dim"]):
            continue
        ranges = {some for some in (dims[str(arm)], common) if len(some) > 1}
        for some in sorted(ranges, key=len, reverse=True):
            cell = {"arm": arm, "dimensions": f"{min(some):,} to {max(some):,}", "updates": updates}
            cells = training[training["latent_dim"].isin(some)]
            for name, quantity in GROWING.items():
                slopes = [
                    float(np.polyfit(np.log2(seed["latent_dim"].astype(float)), quantity(seed).astype(float), 1)[0])
                    for _, seed in cells.groupby("replicate")
                ]
                found.append(cell | {"quantity": name} | ends(Interval.student_t(slopes)))
    return pd.DataFrame(found)


def later(lines: pd.DataFrame) -> pd.DataFrame:
    """What the held-out ELBO gains from each length to the next, paired by seed, in nats, by arm and dimension.

    Args:
        lines: as :func:`trainings` gives them.
    """
    found = []
    for (arm, dim), cells in lines.groupby(["arm", "latent_dim"], sort=False):
        by_length = cells.pivot_table(index="replicate", columns="updates", values="held-out ELBO")
        for earlier, after in pairwise(sorted(by_length.columns)):
            gained = Interval.student_t((by_length[after] - by_length[earlier]).tolist())
            found.append({"arm": arm, "latent_dim": dim, "from": earlier, "to": after} | ends(gained))
    return pd.DataFrame(found, columns=["arm", "latent_dim", "from", "to", *ENDS])


def tables() -> dict[str, str]:
    """The tables in Markdown, by their marks, from the files."""
    cell = dict(zip(BY, ("training", "updates", "D"), strict=True))
    over = {"arm": "training", "dimensions": "D", "updates": "updates"}
    growing, gained = pd.read_csv(GROWTH), pd.read_csv(LATER)
    dims = {dim: f"D = {dim:,}" for dim in sorted(gained["latent_dim"].unique())}
    lengths = {"arm": "training", "from": "from", "to": "to"}
    return {
        "dimension-levels": mean_table(pd.read_csv(LEVELS), cell, list(ROWS)),
        "dimension-growth": interval_table(growing, over, "quantity", {name: name for name in GROWING}),
        "dimension-later": interval_table(gained, lengths, "latent_dim", dims),
        "dimension-verdicts": verdict_table(pd.read_csv(VERDICTS)),
    }


def judged() -> Runs:
    """What is judged: all cells, as registered, those of each kind of pixel alone, and those of each length alone."""
    results = Results.some([EXPORT])
    return {
        "all cells": results,
        "binary pixels": results.where(likelihood="bernoulli"),
        "grey pixels": results.where(likelihood="gaussian_shared"),
        **{f"{updates} updates": cells for updates, cells in results.by("updates").items()},
    }


def main() -> None:
    """Writes the four files."""
    lines = trainings(Results.some([EXPORT]))
    means(lines, BY, list(ROWS)).to_csv(LEVELS, index=False)
    growth(lines).to_csv(GROWTH, index=False)
    later(lines).to_csv(LATER, index=False)
    verdicts_of(judged()).to_csv(VERDICTS, index=False)


if __name__ == "__main__":
    main()
