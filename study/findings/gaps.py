"""Gaps: how far draws of the prior fall behind codes in vectors of 16 and of 512 dimensions, from tables of all runs.

The gap is F(prior) − F(q_N). Trainings of the two vectors in one run have the same seeds, and their difference is
paired by seed; it has Student's 95 % interval. Rates and decoders of the two differ as well.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from analysis.interval import Interval
from analysis.numerals import plus_minus
from study.findings import parts

SMALL, LARGE = "16, normal prior", "512, normal prior"

ALONE = ("N(m, I), the mean alone", "N(0, C), the covariance alone", parts.GAUSSIAN)
"""Shares that are shown, by their names in :mod:`study.findings.parts`."""


def gap_table(trainings: Mapping[str, pd.DataFrame], shares: pd.DataFrame) -> str:
    """The gap after the longer training, and what closes it, one line for each run, in Markdown.

    Args:
        trainings: of vectors, as :func:`~study.findings.runs.vectors_of` gives them, by run.
        shares: as :func:`~study.findings.parts.every_part` gives them.
    """
    heads = ["gap, D = 16", "gap, D = 512", "difference"]
    heads += [f"share of {part}, D = {dim}" for dim in (16, 512) for part in ALONE]
    rows = {}
    for run, table in trainings.items():
        gaps = {vector: _gaps(table, vector) for vector in (SMALL, LARGE)}
        difference = Interval.student_t((gaps[LARGE] - gaps[SMALL]).tolist())
        root = len(gaps[SMALL]) ** 0.5
        cells = [plus_minus(gap.mean(), gap.std() / root) for gap in gaps.values()]
        cells.append(str(difference))
        for vector in (SMALL, LARGE):
            found = shares.query("run == @run and measure == 'F'")
            cells += [parts.share_text(found[found["model"] == f"vector of {vector}"], part) for part in ALONE]
        rows[run] = cells
    return parts.in_markdown("", heads, rows)


def _gaps(table: pd.DataFrame, vector: str) -> pd.Series:
    """The gap of every training of ``vector`` that took most updates, by training."""
    of_vector = table[table["vector"] == vector].set_index("training")
    longest = of_vector[of_vector["updates"] == of_vector["updates"].max()]
    return longest["prior"] - longest["aggregate"]
