"""Measurements: what estimates are called in sentences, and which of them cells were measured without.

A sentence has the quantity and its row by the names that ``latent-study summary`` and METHODS.md have for them: the
address ``realism/prior/squared_frechet`` is "`squared_frechet` of samples from `prior`".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from analysis.address import Address
from study.answers.hypotheses._base import NotMeasured
from study.answers.results import Results

_ROWS = {"aggregate/train": "the training images", "aggregate/held_out": "the held-out images"}
_OF = {"realism": "samples from", "densities": "the fitted density"}


def called(estimates: Iterable[str]) -> str:
    """Words for ``estimates``, which are addresses: quantities, each group of them of the rows that have it.

    >>> called(["aggregate/train/kl", "aggregate/train/rate", "realism/prior/coverage", "realism/local/coverage"])
    '`kl` and `rate` of the training images, and `coverage` of samples from `prior` and `local`'
    """
    of_row: dict[tuple[str, str], list[str]] = defaultdict(list)
    for address in map(Address.parse, estimates):
        of_row[address.group, address.row].append(f"`{address.quantity}`")
    rows: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for (group, row), quantities in of_row.items():
        rows[group, tuple(quantities)].append(row)
    return ", and ".join(
        f"{enumerated(quantities)} of {_row_words(group, of_group)}" for (group, quantities), of_group in rows.items()
    )


def enumerated(words: Iterable[str]) -> str:
    """``a, b and c``."""
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last


def not_measured(results: Results, estimates: Mapping[str, str], which: str = "") -> NotMeasured:
    """The refusal of ``results`` in which no cell has all ``estimates``; it names those that none has, where there are
    such.

    Args:
        results: at least one cell.
        estimates: addresses, by the name of the column.
        which: which cells these are, as the end of "no cells …".
    """
    absent = [name for name in estimates.values() if not results.by_replicate(name)]
    return NotMeasured(f"no cells {which}{' ' if which else ''}have {called(absent or estimates.values())}")


def _row_words(group: str, rows: list[str]) -> str:
    if group in _OF:
        return f"{_OF[group]} {enumerated(f'`{row}`' for row in rows)}"
    return enumerated(_ROWS.get(f"{group}/{row}", f"`{row}`") for row in rows)
