"""Answer: what a diagnosis found, as labelled data, as lines to read, as a page, and as a density to take away."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import xarray as xr

from analysis.density_fits import FittedDensity
from study.design.cell import Cell
from study.diagnosis.evidence import Evidence, repeats_training
from study.diagnosis.page import write_page
from study.diagnosis.questions import Finding, questions
from study.diagnosis.sampler import write_sampler
from study.diagnosis.symbols import SYMBOLS
from study.errors import ConfigurationError
from study.files import set_aside
from study.paths import checked_name
from study.store import Store
from study.store.result import CellResult

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Answer:
    """A diagnosis.

    name: of the model, as its owner calls it.
    cell: its description as a cell of a study, whose own parts are ``given``.
    tree: every estimate and record, see :mod:`analysis.tree`, with the groups ``dimensions`` and ``outliers``.
    densities: fitted to the codes, by name.
    details: how it was come by: seconds, where held-out codes are from, whether it was interrupted, and the first step
        that is missing then.
    checksum: of the codes.
    """

    name: str
    cell: Cell
    tree: xr.DataTree
    densities: Mapping[str, FittedDensity]
    details: Mapping[str, Any]
    checksum: str

    @cached_property
    def findings(self) -> dict[str, list[Finding]]:
        """Lines by question, in the order in which they are asked."""
        return {title: findings for title, ask in questions().items() if (findings := ask(self.evidence))}

    @cached_property
    def evidence(self) -> Evidence:
        """Estimates and records by address."""
        return Evidence(self.tree, dict(self.details))

    def __str__(self) -> str:
        lines = [f"{self.name}: latent {self.cell.config()['latent_dim']}, {self.details['held_out']}", SYMBOLS]
        if self.details.get("interrupted"):
            lines.append(f"{self.interruption}; what was done before is kept")
        for title, findings in self.findings.items():
            lines += ["", title, *(f"  {finding}" for finding in findings)]
        return "\n".join(lines)

    @property
    def interruption(self) -> str:
        """Where a diagnosis that was interrupted ends."""
        return f"interrupted at the step {self.details['missing_from']}, which is missing, as is every later one"

    @property
    def best(self) -> str | None:
        """Name of the density to sample from: the one that certifies the most nats of those whose draws are not the
        codes of training observations again, of all where there is no other; None where none was fitted."""
        ranked = [name for name, _ in self.evidence.ranking() if name in self.densities]
        return next((name for name in ranked if not repeats_training(name)), ranked[0] if ranked else None)

    def sampler(self, name: str | None = None, folder: Path | str = "sampler") -> Path:
        """Writes a density for use without this package, and gives its folder; see :mod:`study.diagnosis.sampler`.

        Args:
            name: of the density; by default :attr:`best`.
            folder: where it is written.

        Raises:
            ConfigurationError: where there is no such density, or it has no form of its own in torch.
        """
        chosen = name or self.best
        if chosen is None or chosen not in self.densities:
            there = ", ".join(self.densities) or "none was fitted"
            raise ConfigurationError(f"no density {chosen or 'at all'} to take away; there are: {there}")
        return write_sampler(chosen, self.densities[chosen], Path(folder))

    def page(self, path: Path | str) -> Path:
        """Writes the findings as an HTML page to ``path``, which it gives; see :mod:`study.diagnosis.page`."""
        return write_page(self, Path(path))

    def save(self, results: Path | str = "results", study: str | None = None, command: str = "") -> Path:
        """Stores the tree as a cell of a study, for ``summary``, ``compare`` and ``report``. An earlier diagnosis of
        the same name takes part no longer: where it is of other codes, or is not complete, it is set aside, and the log
        says so.

        Args:
            results: folder of studies.
            study: its name, by default that of the model; several models in one study are compared.
            command: what a user typed, for the record; by default the call of a program.

        Returns:
            The study's folder.

        Raises:
            ConfigurationError: where the name cannot be a folder's.
            EnvironmentFault: where the folder cannot be written.
        """
        folder = Path(results) / checked_name(study or self.name)
        store = Store(folder)
        with store.lock(self.cell.key, wait=True):
            if self._is_in(store):
                return folder
            store.begin(self.cell, images=self.checksum)
            store.publish(
                self.cell,
                CellResult(self.tree, {}, dict(self.details)),
                images=self.checksum,
                device=str(self.details["device"]),
                seconds=float(self.details["measurement_seconds"]),
                command=command or f"diagnose(name={self.name!r})",
            )
        return folder

    def _is_in(self, store: Store) -> bool:
        """Whether this diagnosis is stored already; another that has its place is set aside."""
        key = self.cell.key
        standing = store.standing(key)
        if not standing.is_stored:
            return False
        whole = standing.condition == "done" and set(store.read(key).children) == set(self.tree.children)
        if whole and store.verify(key).images == self.checksum:
            return True
        aside = set_aside(store.folder(key), word="replaced")
        log.warning("an earlier diagnosis of the name %s is kept as %s", self.name, aside)
        return False
