"""Chapter: the finished cells of one data set, with what every section of the page asks of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from analysis.interval import Interval
from analysis.summaries import over_seeds, summary
from study.answers.attribution import attribution
from study.answers.conclusions import Conclusion, conclude
from study.answers.estimates import estimates
from study.answers.hypotheses import Case, cases
from study.answers.remedies import remedies
from study.answers.results import Results, StoredCell, estimate_of
from study.design.labels import labels

FEW = 8
"""Labels that one figure can hold apart."""

MOST = 200
"""Cells of which a page can have the pictures, some tenth of a megabyte and half a second each."""


@dataclass(frozen=True, eq=False)
class Chapter:
    """Results of one data set; what is derived is computed once.

    dataset: its name.
    results: finished cells, all of that data set.
    left_out: the reason of each stored cell of the same studies that could not be read, by its folder.
    """

    dataset: str
    results: Results
    left_out: Mapping[Path, str] = field(default_factory=dict)

    @cached_property
    def labels(self) -> dict[str, str]:
        """Label by key: the prior, and what else differs among these cells."""
        return labels({cell.key: cell.manifest.config for cell in self.results})

    @cached_property
    def numbers(self) -> pd.DataFrame:
        """Every estimate, see :func:`analysis.summaries.summary`."""
        return summary(estimates(self.results, self.labels))

    @cached_property
    def shown_numbers(self) -> pd.DataFrame:
        """Every estimate of the cells of :attr:`shown`."""
        return summary(estimates(self.shown, self.labels)) if self.leaves_out else self.numbers

    @cached_property
    def remedies(self) -> pd.DataFrame:
        """See :func:`study.answers.remedies.remedies`."""
        return remedies(self.results)

    @cached_property
    def attribution(self) -> pd.DataFrame:
        """See :func:`study.answers.attribution.attribution`."""
        return attribution(self.results)

    @cached_property
    def cases(self) -> dict[str, Case]:
        """Every hypothesis with its evidence and verdict by its id, in the order of their numbers."""
        return {case.hypothesis.id: case for case in cases(self.results)}

    @cached_property
    def conclusion(self) -> Conclusion:
        """See :func:`study.answers.conclusions.conclude`."""
        return conclude(self.results, list(self.cases.values()), self.left_out)

    @cached_property
    def principal(self) -> Results:
        """The cells that overview figures show: all where they bear few labels, else the largest family of priors."""
        if len(set(self.labels.values())) <= FEW:
            return self.results
        for factors in (("prior", "latent_dim"), ("latent_dim",), ("prior",)):
            if families := self.results.families(*factors):
                return families[0]
        return self.results

    @cached_property
    def shown(self) -> Results:
        """The cells of which the page has pictures and every number: all but where they are more than MOST, then those
        of :attr:`principal`, or of :attr:`baseline` where these are too many, and those that the answer is about."""
        if len(self.results) <= MOST:
            return self.results
        phenomenon, repair = self.conclusion.phenomenon, self.conclusion.repair
        about = [phenomenon.cell] if phenomenon else []
        about += [repair.treatment.treated] if repair else []
        most = self.principal if len(self.principal) <= MOST else self.baseline
        keys = {cell.key for cell in (*most, *about)}
        return Results(tuple(cell for cell in self.results if cell.key in keys))

    @cached_property
    def baseline(self) -> list[StoredCell]:
        """Cells that differ in the latent dimension alone, along it; of plain models, where there are any."""
        pool = next(cells for cells in (self.principal.plain(), self.principal) if len(cells))
        families = pool.families("latent_dim")
        return sorted(families[0] if families else pool.cells[:1], key=dimension)

    @property
    def leaves_out(self) -> int:
        """Number of cells that are not :attr:`shown`."""
        return len(self.results) - len(self.shown)

    @property
    def is_partial(self) -> bool:
        """Whether overview figures leave cells out."""
        return len(self.principal) < len(self.results)

    def series(self) -> dict[str, list[StoredCell]]:
        """Cells of :attr:`principal` by label, along the latent dimension."""
        names = labels({cell.key: cell.manifest.config for cell in self.principal})
        series: dict[str, list[StoredCell]] = {label: [] for label in sorted(set(names.values()))}
        for cell in sorted(self.principal, key=dimension):
            series[names[cell.key]].append(cell)
        return series

    def along(self) -> dict[str, list[StoredCell]]:
        """Those of :meth:`series` that run over several latent dimensions; all where none does."""
        series = self.series()
        return {label: cells for label, cells in series.items() if len(cells) > 1} or series


def chapters(folders: Iterable[Path]) -> list[Chapter]:
    """One chapter per data set among the finished cells of study folders, the largest first.

    Raises:
        ConfigurationError: if no cell is finished.
    """
    places = list(folders)
    results = Results.some(places)
    of_datasets = [Chapter(str(name), cells, results.left_out) for name, cells in results.by("dataset").items()]
    return sorted(of_datasets, key=lambda chapter: -len(chapter.results))


def dimension(cell: StoredCell) -> int:
    """The latent dimension D."""
    return int(cell.settings["latent_dim"])


def measured(cell: StoredCell, estimate: str) -> Interval | None:
    """The ``estimate`` of this address in ``cell``, over seeds; None where the cell has none, or every seed refused
    it."""
    numbers = cell.numbers(estimate)
    if numbers is None:
        return None
    mean = over_seeds(*numbers.T)
    return mean if mean.n else None


def flags(cell: StoredCell, estimate: str) -> str:
    """Flags of the ``estimate`` of this address in ``cell``, of all seeds, joined."""
    table = estimate_of(cell, estimate)
    return "" if table is None else "; ".join(dict.fromkeys(str(flag) for flag in table["flags"] if flag))


def quality_gap(cell: StoredCell) -> Interval | None:
    """Squared Fréchet distance of prior samples minus that of aggregate samples, paired by seed."""
    prior, aggregate = (cell.numbers(f"realism/{row}/squared_frechet") for row in ("prior", "aggregate_train"))
    if prior is None or aggregate is None:
        return None
    gap = Interval.student_t(prior[:, 0] - aggregate[:, 0])
    return gap if gap.n else None
