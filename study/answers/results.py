"""Results: the finished cells of one or more studies, to be asked by setting, quantity and control.

A *family* is a set of cells that differ in nothing but the factors named, so that what changes within it is due to
them. Values are per replicate, which its training seed names: seeds are the units of every comparison, and replicates
of one seed share data order and noise in all cells of a family, so that differences are taken seed by seed.

An estimate is named by its address (:mod:`analysis.address`): ``aggregate/train/kl``.
"""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from study.answers.joining import joined
from study.answers.pooling import pooled
from study.answers.stored_cell import FIELDS, IMMATERIAL, StoredCell, estimate_of
from study.design.cell import Cell
from study.errors import ConfigurationError
from study.store.extract import extracts
from study.store.result import agree
from study.store.store import RESULT, Store

log = logging.getLogger(__name__)

__all__ = ["FIELDS", "IMMATERIAL", "Results", "StoredCell", "check_some", "estimate_of"]


@dataclass(frozen=True, eq=False)
class Results:
    """Finished cells, in the order of their keys.

    cells: the finished cells.
    left_out: the reason of each stored cell that could not be read, by its folder.

    A store with two cells of one seed, whose only estimate is an invented KL(q_N ‖ p):

    >>> from tempfile import TemporaryDirectory
    >>> import xarray as xr
    >>> from study.store.result import CellResult
    >>> temporary = TemporaryDirectory()
    >>> store = Store(Path(temporary.name) / "example")
    >>> coords = {"chain": [0], "split": ["train"], "quantity": ["kl"]}
    >>> for dim, nats in ((2, 0.5), (8, 1.25)):
    ...     kl = {"value": nats, "standard_error": 0.0, "n": 100, "bound": "exact", "flags": ""}
    ...     table = xr.Dataset({field: (tuple(coords), [[[value]]]) for field, value in kl.items()}, coords)
    ...     result = CellResult(xr.DataTree.from_dict({"aggregate": table}), weights={}, details={})
    ...     cell = Cell(latent_dim=dim, seeds=1)
    ...     workspace = store.begin(cell, images="")
    ...     store.publish(cell, result, images="", device="cpu", seconds=0.0, command="")

    They are loaded from the folder, chosen by their settings, and laid out as a table:

    >>> results = Results.load([store.root])
    >>> len(results), len(results.where(latent_dim={8, 32})), len(results.where(prior="vamp"))
    (2, 1, 0)
    >>> table = results.frame(kl="aggregate/train/kl").sort_values("latent_dim")
    >>> print(table[["latent_dim", "replicate", "prior", "kl"]].to_string(index=False))
     latent_dim  replicate           prior   kl
              2          0 standard_normal 0.50
              8          0 standard_normal 1.25
    >>> temporary.cleanup()
    """

    cells: tuple[StoredCell, ...]
    left_out: Mapping[Path, str] = field(default_factory=dict)

    @classmethod
    def load(cls, folders: Iterable[Path]) -> Results:
        """Every whole cell under the study folders ``<results>/<study>``; one found twice counts once, and those that
        differ in their seeds alone are one, see :mod:`study.answers.pooling`."""
        cells: dict[str, StoredCell] = {}
        left_out: dict[Path, str] = {}
        for folder in folders:
            store = Store(folder)
            for key, extract in extracts(store).items():
                if isinstance(extract, str):
                    left_out[store.folder(key)] = extract
                    continue
                cell = StoredCell(folder.name, store, extract.manifest, extract)
                first = cells.setdefault(key, cell)
                if not (first is cell or _alike(first, cell)):
                    reason = f"its result is not that of the same cell in {first.store.root}, which counts"
                    left_out[store.folder(key)] = reason
        return cls(pooled(cells.values()), left_out)

    @classmethod
    def some(cls, folders: Sequence[Path]) -> Results:
        """:meth:`load`, where there must be a cell; see :func:`check_some`. Where cells of several studies are joined,
        the log names these, and says whether their numbers can be compared."""
        results = cls.load(folders)
        check_some([results], folders)
        if len(folders) > 1 and (sentence := joined(results)):
            log.warning(sentence)
        return results

    def __len__(self) -> int:
        return len(self.cells)

    def __iter__(self) -> Iterator[StoredCell]:
        return iter(self.cells)

    def having(self, group: str) -> Results:
        """The cells whose results have this group."""
        return Results(tuple(cell for cell in self.cells if group in cell.groups))

    def where(self, **settings: Any) -> Results:
        """The cells with these settings, each a value or a collection of values; dots of names are double underscores:
        ``where(prior="vamp", train__epochs={80, 400})``. A cell without the setting does not match.
        """
        wanted = {name.replace("__", "."): value for name, value in settings.items()}

        def matches(cell: StoredCell) -> bool:
            return all(
                name in cell.settings
                and (cell.settings[name] in value if _is_choice(value) else cell.settings[name] == value)
                for name, value in wanted.items()
            )

        return Results(tuple(filter(matches, self.cells)))

    def plain(self, *free: str) -> Results:
        """The cells with the default prior, posterior and objective at β = 1, but for the settings in ``free``."""
        usual = Cell()
        wanted = {"beta": usual.beta} | {
            part: getattr(usual, part).name for part in ("prior", "posterior", "objective")
        }
        return self.where(**{name: value for name, value in wanted.items() if name not in free})

    def partition(self, *factors: str) -> list[Results]:
        """Maximal sets of cells that differ in ``factors`` only, largest first; each cell is in one of them.

        A part named as factor (``prior``) stands for its options too; ``latent_dim`` keeps vectors and maps of other
        sides apart, which ``latent`` joins. Trainings are as long as their ``updates``, whatever the epochs.
        """
        members: dict[tuple[Any, ...], list[StoredCell]] = defaultdict(list)
        for cell in self.cells:
            members[cell.held_fixed(factors)].append(cell)
        families = [Results(tuple(cells)) for cells in members.values()]
        return sorted(families, key=lambda family: (-len(family), family.cells[0].key))

    def families(self, *factors: str) -> list[Results]:
        """Those sets of :meth:`partition` in which each factor takes two values or more."""
        families = self.partition(*factors)
        return [family for family in families if all(len(family.levels(factor)) > 1 for factor in factors)]

    def levels(self, setting: str) -> list[Any]:
        """Distinct values of a setting, sorted where they can be."""
        distinct = {cell.settings[setting] for cell in self.cells if setting in cell.settings}
        return sorted(
            distinct,
            key=lambda value: (str(type(value)), value) if isinstance(value, (int, float, str)) else ("", str(value)),
        )

    def values(self, estimate: str) -> pd.DataFrame:
        """One line per cell and replicate that has the ``estimate`` of this address: ``key``, ``replicate``, ``value``,
        ``standard_error``, ``n``, ``bound``, ``flags``, and every setting. Refused estimates are left out.

        Raises:
            ValueError: if ``estimate`` is no address.
        """
        columns: dict[str, list[Any]] = {name: [] for name in ("key", "replicate", *FIELDS)}
        for cell in self.cells:
            table = estimate_of(cell, estimate)
            if table is None:
                continue
            finite = np.flatnonzero(np.isfinite(table["value"]))
            columns["key"] += [cell.key] * len(finite)
            columns["replicate"] += np.asarray(cell.seeds)[finite].tolist()
            for name, values in table.items():
                columns[name] += values[finite].tolist()
        return self._with_settings(columns) if columns["key"] else pd.DataFrame(columns=list(columns))

    def frame(self, **estimates: str) -> pd.DataFrame:
        """One line per cell and replicate that has all ``estimates``, each given as ``column="group/row/quantity"``:
        ``key``, ``replicate``, the values under their columns, their standard errors under ``<column>_error``, and
        every setting.

        Of cells that differ by chance alone, or by how they were measured, the one with the most replicates stands for
        all of them.
        """
        chosen: dict[tuple[Any, ...], _Rows] = {}
        for cell in self.cells:
            taken = estimates.keys() & cell.settings.keys()
            if taken:
                raise ValueError(f"expected columns with names of their own; got {min(taken)}, a setting: rename it")
            if (rows := _Rows.of(cell, estimates.values())) is None:
                continue
            rival = chosen.get(cell.identity)
            if len(rows.replicates) > (len(rival.replicates) if rival else 0):
                chosen[cell.identity] = rows
        if not chosen:
            return pd.DataFrame(columns=["key", "replicate", *estimates])
        of_cells = sorted(chosen.values(), key=lambda rows: rows.cell.key)
        columns: dict[str, Any] = {
            "key": [rows.cell.key for rows in of_cells for _ in rows.replicates],
            "replicate": np.concatenate([rows.replicates for rows in of_cells]),
        }
        for number, end in enumerate(("", "_error")):
            for place, column in enumerate(estimates):
                columns[f"{column}{end}"] = np.concatenate([rows.numbers[place][:, number] for rows in of_cells])
        return self._with_settings(columns)

    def _with_settings(self, columns: dict[str, Any]) -> pd.DataFrame:
        """A table of ``columns``, one of which is the key of a cell, and of every setting of that cell."""
        order = {key: place for place, key in enumerate(dict.fromkeys(columns["key"]))}
        settings = {cell.key: cell.settings for cell in self.cells if cell.key in order}
        of_cells = pd.DataFrame([settings[key] for key in order])
        repeated = of_cells.take([order[key] for key in columns["key"]]).reset_index(drop=True)
        return pd.concat([pd.DataFrame(columns), repeated], axis=1)

    def by_replicate(self, estimate: str) -> dict[tuple[str, int], tuple[float, float]]:
        """The ``estimate`` of this address, with its standard error, by key and replicate; without what was refused."""
        numbers = [(cell, found) for cell in self.cells if (found := cell.numbers(estimate)) is not None]
        return {
            (cell.key, replicate): (value, error)
            for cell, found in numbers
            for replicate, (value, error) in zip(cell.seeds, found.tolist(), strict=True)
            if math.isfinite(value)
        }

    def by(self, setting: str) -> dict[Any, Results]:
        """These results apart by the values of a setting."""
        return {level: self.where(**{setting.replace(".", "__"): level}) for level in self.levels(setting)}


class _Rows(NamedTuple):
    """Replicates of a cell that have each of several estimates.

    cell: of which they are.
    replicates: their training seeds, ``(R,)``.
    numbers: value and standard error of each estimate, ``(R, 2)``.
    """

    cell: StoredCell
    replicates: npt.NDArray[np.intp]
    numbers: list[npt.NDArray[np.float64]]

    @classmethod
    def of(cls, cell: StoredCell, estimates: Iterable[str]) -> _Rows | None:
        """The replicates of a cell that have all ``estimates``; None where it has none of one of these addresses."""
        numbers = []
        for estimate in estimates:
            if (found := cell.numbers(estimate)) is None:
                return None
            numbers.append(found)
        complete = np.flatnonzero(np.logical_and.reduce([np.isfinite(found[:, 0]) for found in numbers]))
        return cls(cell, np.asarray(cell.seeds)[complete], [found[complete] for found in numbers])


def check_some(loaded: Iterable[Results], folders: Sequence[Path]) -> None:
    """Raises ConfigurationError where none of ``loaded``, from ``folders``, has a cell; else names in the log the cells
    that they leave out, with the reasons.
    """
    results = list(loaded)
    left_out = {place: reason for each in results for place, reason in each.left_out.items()}
    if not any(map(len, results)):
        why = f" ({len(left_out)} not whole: {next(iter(left_out.values()))})" if left_out else ""
        raise ConfigurationError(f"no finished cell in {folders[0]}{why}; `latent-study status` tells why")
    for place, reason in left_out.items():
        log.warning("left out: %s: %s", place, reason)


def _alike(first: StoredCell, second: StoredCell) -> bool:
    """Whether two cells of one key have the same result, as far as both have it."""
    if first.manifest.files[RESULT] == second.manifest.files[RESULT]:
        return True
    return agree(*(cell.store.read(cell.key) for cell in (first, second)))


def _is_choice(value: Any) -> bool:
    return isinstance(value, (set, frozenset, list, range))
