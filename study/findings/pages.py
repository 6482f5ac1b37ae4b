"""Pages: the tables between the marks of FINDINGS.md and README.md, and the figures of FINDINGS.md.

    uv run python -m study.findings.pages

A table stands between the comments ``mark:start`` and ``mark:end``. Tables and figures are made from the export of the
first run and from the tables of all runs beside this file, see :mod:`study.findings.runs`.
"""

from __future__ import annotations

import pandas as pd

from study.findings import asker, confirmation, dimension, figures, first_moment, gaps, parts, published
from study.findings.first_look import HERE, printed_table
from study.findings.runs import (
    LEVELS,
    POOLED,
    TRAININGS,
    VERDICTS,
    level_table,
    vector_table,
    verdict_table,
)

ROOT = HERE.parents[1]


def tables() -> dict[str, dict[str, str]]:
    """The tables by page and mark."""
    printed, levels, verdicts = printed_table(), pd.read_csv(LEVELS), pd.read_csv(VERDICTS)
    shares, trainings = pd.read_csv(parts.PARTS), pd.read_csv(TRAININGS)
    confirmed = pd.read_csv(confirmation.TRAININGS)
    runs = {f"run {number}": of_run for number, of_run in trainings.groupby("run")}
    sets = {title: confirmed[confirmed["run"] == title] for title in confirmation.SETS}
    return {
        "README.md": {"table": printed},
        "FINDINGS.md": {
            "levels": level_table(levels),
            "shares": parts.share_table(shares, list(runs)),
            "vectors": vector_table(trainings),
            "verdicts": verdict_table(verdicts),
            "pooled": verdict_table(pd.read_csv(POOLED)),
            "asker-levels": level_table(pd.read_csv(asker.LEVELS)),
            "asker-verdicts": verdict_table(pd.read_csv(asker.VERDICTS)),
            "confirmed-levels": level_table(pd.read_csv(confirmation.LEVELS)),
            "confirmed-shares": parts.share_table(shares, list(sets)),
            "confirmed-vectors": vector_table(confirmed),
            "confirmed-verdicts": verdict_table(pd.read_csv(confirmation.VERDICTS)),
            "asker-vectors": vector_table(pd.read_csv(asker.TRAININGS)),
            "confirmed-outcome": confirmation.outcome_table(pd.read_csv(confirmation.VERDICTS)),
            "confirmed-parts": parts.part_table(shares),
            "measures-gaussian": parts.measure_table(shares, parts.GAUSSIAN),
            "measures-mean": parts.measure_table(shares, parts.MEAN),
            "measures-covariance": parts.measure_table(shares, parts.COVARIANCE),
            "gaps": gaps.gap_table(runs | sets, shares),
            "undecided": undecided_table(pd.read_csv(HERE / "first_look-verdicts.csv")),
            **dimension.tables(),
            **first_moment.tables(),
            **published.tables(),
        },
    }


def undecided_table(verdicts: pd.DataFrame) -> str:
    """The claims that one run leaves undecided, in Markdown, with what would decide them.

    Args:
        verdicts: as ``latent-study verdict --format csv`` writes them.
    """
    lines = ["| | claim | what would decide it |", "|---|---|---|"]
    for line in verdicts[verdicts["decision"] == "undecided"].to_dict("records"):
        claim, decides = (str(line[name]).replace("|", r"\|") for name in ("claim", "decides"))
        lines.append(f"| {line['hypothesis']} | {claim} | {decides} |")
    return "\n".join(lines)


def between(text: str, mark: str, new: str) -> str:
    """``text`` with ``new`` between its two comments ``mark:start`` and ``mark:end``.

    Args:
        text: the page.
        mark: name of the comments.
        new: what stands between them afterwards.
    """
    start, end = f"<!-- {mark}:start -->\n", f"<!-- {mark}:end -->"
    before, rest = text.split(start)
    return f"{before}{start}{new}\n{end}{rest.split(end)[1]}"


def main() -> None:
    """Writes the tables and the figures."""
    for page, marks in tables().items():
        path = ROOT / page
        text = path.read_text("utf-8")
        for mark, table in marks.items():
            text = between(text, mark, table)
        path.write_text(text, "utf-8")
    levels = pd.read_csv(LEVELS)
    figures.distances(levels).savefig(HERE / "first_look-distances.png", facecolor="white")
    figures.rate(levels).savefig(HERE / "first_look-rate.png", facecolor="white")


if __name__ == "__main__":
    main()
