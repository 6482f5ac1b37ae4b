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
    """What cells are compared by."""

    QUALITY = "quality"
    LOG_PX = "log_px"
    MOMENTS = "moments"
