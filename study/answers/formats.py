"""Formats: how a table is written, and what cells are compared by; light, since the command line's help names them."""

from __future__ import annotations

from enum import StrEnum


class Format(StrEnum):
    """How a table is written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    LATEX = "latex"


class Comparison(StrEnum):
    """Criterion by which cells are compared."""

    QUALITY = "quality"
    LOG_PX = "log_px"
    MOMENTS = "moments"
