"""Comparisons: cells beside each other, as text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from analysis.numerals import plain, with_interval
from study.answers.attribution import attribution
from study.answers.comparison import SAME, held_out
from study.answers.formats import Comparison, Format
from study.answers.listing import Row, listing, with_error
from study.answers.remedies import POOLED, remedies
from study.answers.results import Results
from study.answers.texts import text_of

NOTHING = "no cells have what this compares"
"""Text in the place of a table without lines."""

Line = dict[Hashable, Any]
"""A line of a table: its values by column."""

_F = "F: squared Fréchet distance of samples to held-out images, lower is better"
_SHARE = (
    "with Fieller's 95 % interval over seeds, of which a single one has none; –: the gap is not distinguishable from 0 "
    "by its error, which is that over seeds, and of a single seed that of its evaluation"
)


class _View(NamedTuple):
    """A comparison, and how it is read.

    make: its table of the results of one data set.
    title: of what is read.
    heads: of the labels, and of the numbers that are read of each line.
    section: the title above a line, which is that of all lines it may be compared with.
    row: a line's label and numbers.
    caption: what the heads mean.
    """

    make: Callable[[Results], pd.DataFrame]
    title: str
    heads: tuple[str, ...]
    section: Callable[[Line], str]
    row: Callable[[Line], Row]
    caption: str


def comparison_text(folders: Sequence[Path], format: Format, by: Comparison | None, width: int) -> str:
    """Remedies ranked by their level, cells by held-out log p(x), and what moments of the codes each close.

    folders: those of the studies.
    format: a table to read has all of them under their titles; another format has one, by default the first.
    by: one of these.
    width: columns of the terminal.

    Raises:
        ConfigurationError: if no cell is finished.
    """
    groups = Results.some(folders).by("dataset")
    wanted = [by] if by else list(Comparison) if format is Format.TABLE else [Comparison.QUALITY]
    texts = []
    for view in map(VIEWS.__getitem__, wanted):
        tables = [view.make(part).assign(dataset=dataset) for dataset, part in groups.items()]
        table = pd.concat(tables, ignore_index=True)
        table["latent_dim"] = ["all" if dim == POOLED else dim for dim in table["latent_dim"]]
        texts.append(_read(view, table, width) if format is Format.TABLE else text_of(table, format))
    return "\n\n".join(texts)


def _read(view: _View, table: pd.DataFrame, width: int) -> str:
    sections: dict[str, list[Row]] = defaultdict(list)
    for line in table.to_dict("records"):
        sections[view.section(line)].append(view.row(line))
    return f"{view.title}\n{listing(view.heads, sections, view.caption, width) if sections else NOTHING}"


def _place(line: Line) -> str:
    return f"{line['dataset']}, D = {line['latent_dim']}"


def _levels(line: Line, *others: str) -> str:
    """The cells that a line is of, and their levels."""
    levels = [f"F {name} {plain(line[name])}" for name in ("prior", *others, "aggregate")]
    gap = plain(line["prior"] - line["aggregate"])
    return f"{_place(line)}, {line['of']}: {', '.join(levels)}, gap {gap}"


def _remedy(line: Line) -> Row:
    label = f"{line['remedy']}{' *' if line['repeats'] else ''} ({line['kind']})"
    share = with_interval(line["share"], line["lower"], line["upper"])
    return Row(label, [plain(line["remedied"]), plain(line["remedied_aggregate"]), share, str(line["seeds"])])


def _ranking(line: Line) -> str:
    agreed = ", ".join(f"{name}={line[name]}" for name in SAME[1:] if pd.notna(line[name]))
    shape = "" if str(line["latent"]) == str(line["latent_dim"]) else f" ({line['latent']})"
    which = f"ranking {line['ranking']}: {_place(line)}{shape}, {agreed}"
    return f"{which}, {line['images']} images, {line['draws']} draws"


def _ranked(line: Line) -> Row:
    beside = ("kl", "kl_certified", "frechet_prior", "frechet_aggregate")
    elpd = [with_error(line["elpd"], line["se"]), plain(line["elpd_diff"]), plain(line["dse"], 2)]
    return Row(line["model"], [str(line["rank"]), *elpd, *(with_error(line[n], line[f"{n}_se"]) for n in beside)])


def _moments(line: Line) -> Row:
    closed = with_interval(line["closed"], line["lower"], line["upper"])
    share = with_interval(line["share"], line["share_lower"], line["share_upper"])
    return Row(line["part"], [closed, plain(line["first"]), plain(line["last"]), share])


VIEWS = {
    Comparison.QUALITY: _View(
        remedies,
        "share of the quality gap closed",
        ("remedy", "F", "F own", "share", "seeds"),
        _levels,
        _remedy,
        f"Remedies of the cells that a title names, ranked by F. {_F}; F own: of the aggregate of the remedy's own "
        f"codes; gap: F prior less F aggregate; share: of the gap that the remedy closes, {_SHARE}. *: gives training "
        "images again.",
    ),
    Comparison.LOG_PX: _View(
        held_out,
        "held-out log p(x)",
        ("model", "rank", "elpd", "elpd_diff", "dse", "KL", "KL ≥", "F p", "F q"),
        _ranking,
        _ranked,
        "Only models under one title are ranked among each other: they are scored on the same held-out images in the "
        "same form, so that binarised and grey images are ranked apart, as are likelihoods. elpd: sum of log p(x) over "
        "these images, nats ± its standard error over them; elpd_diff: less that of the best; dse: standard error of "
        "that difference; KL: of the aggregate posterior to the prior, nats; KL ≥: its part that held-out images "
        "certify; F p, F q: squared Fréchet distance of samples of the prior and of the aggregate. Means over seeds ± "
        "their standard error; of a single one, ± that of its evaluation.",
    ),
    Comparison.MOMENTS: _View(
        attribution,
        "distance closed by moments of the codes, and by each as first and as last",
        ("moments", "closed", "first", "last", "share"),
        lambda line: _levels(line, "all"),
        _moments,
        f"{_F}; F all: of a normal with all three moments; closed: of F by each, averaged over orders; first, last: "
        f"where it is put right as early and as late as it can be; beyond: what such a normal leaves; share: of the "
        f"gap, F prior less F aggregate, {_SHARE}.",
    ),
}
