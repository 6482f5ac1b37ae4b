"""Limits: how much a study may ask for. Each is enforced before the memory or the time that it bounds is spent.

A study file is text that somebody else may have written, and sizes on a command line have typing errors; both should
end in a sentence at once, and not in a machine without memory. The largest numbers in a setting are
``LARGEST_COUNT`` and ``LARGEST_SCALE`` of :mod:`models.options`, where the ranges of options are, and
``LARGEST_REPEATS``, of what is done again and again without more parameters.
"""

from __future__ import annotations

STUDY_FILE_BYTES = 1_000_000
"""Bytes of a study file."""

NODES = 20_000
"""Values, lists and mappings that a study file denotes, those behind aliases counted at every use."""

NESTING = 20
"""Lists and mappings within each other."""

DIGITS = 30
"""Digits of a whole number."""

ARMS = 1_000
"""Arms of a study."""

CELLS_UNASKED = 10_000
"""Cells that a study may have without a question, or ``--yes``."""

CELLS = 1_000_000
"""Cells that a study may have."""

CELLS_BUILT = 100
"""Cells whose parts a dry run builds, without weights, to count them and to see whether they fit together; more are
listed without: importing torch alone takes longer than checking a thousand cells."""

CELL_BYTES = 2**40
"""Memory that a cell may need by the estimate of :mod:`study.design.cost`: 1 TiB."""

CELL_SECONDS = 366 * 86_400
"""Time that a cell may take by that estimate: a year."""
