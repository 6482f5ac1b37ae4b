"""Standing: where a cell of a study stands."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

Condition = Literal["done", "interrupted", "corrupt", "failed", "unfinished", "missing"]
"""Where there is an ``interrupted`` cell, a diagnosis was stopped, and stored what it had measured by then."""


class Standing(NamedTuple):
    """State of a cell.

    condition: one of the six words.
    config: its configuration; empty where no file has one that is valid.
    reasons: lines that say why it is interrupted, corrupt or failed.
    exported: whether it is stored and has no weights here, see :mod:`study.store.export`.
    """

    condition: Condition
    config: dict[str, Any]
    reasons: tuple[str, ...] = ()
    exported: bool = False

    @property
    def is_stored(self) -> bool:
        """Whether it has a result that is whole, be it of a part of what was asked for."""
        return self.condition in ("done", "interrupted")
