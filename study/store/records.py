"""Records: the small JSON files beside results: what an unfinished cell is, and why a cell has no result."""

from __future__ import annotations

from typing import Any, final

from study.design.settings import Settings


@final
class CellRecord(Settings):
    """Record of an unfinished cell.

    config: its configuration. images: checksum of the images it is computed from.
    """

    config: dict[str, Any]
    images: str


@final
class FailureRecord(Settings):
    """Record of a cell that has no result.

    step, term: where training failed, and of what; None where it was not training that failed.
    message: the reason in one sentence. traceback: of the error, line by line. command: what a user typed.
    """

    key: str
    config: dict[str, Any]
    step: int | None
    term: str | None
    message: str
    traceback: list[str]
    command: str
