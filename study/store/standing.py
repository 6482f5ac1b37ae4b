"""Standing: where a cell of a study stands."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

Condition = Literal["done", "corrupt", "failed", "unfinished", "missing"]


class Standing(NamedTuple):
    """State of a cell.

    condition: one of the five words.
    config: its configuration; empty where no file has one that is valid.
    reasons: lines that say why it is corrupt or failed.
    exported: whether it is done and has no weights here, see :mod:`study.store.export`.
    """

    condition: Condition
    config: dict[str, Any]
    reasons: tuple[str, ...] = ()
    exported: bool = False
