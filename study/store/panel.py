"""Panel: every group of estimates of a cell as one run of bytes, from which tables are read without decoding texts.

    a line of JSON, filled with spaces     rows, quantities and replicates of each group
    float64, little-endian                 of each group its values, then their standard errors

Tables of values and standard errors are what verdicts ask of every cell, many thousand times; the numbers, bounds and
flags beside them are in the blocks (:mod:`study.store.block`). A panel is believed only where its hash is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from study.store.contents import EstimateTable, Tables, places

STORED = np.dtype("<f8")


def encoded(tables: Tables) -> bytes:
    """Tables as bytes.

    tables: groups of estimates by name.
    """
    declared = {group: [list(table.rows), list(table.quantities), len(table.value)] for group, table in tables.items()}
    arrays = [
        each.astype(STORED).tobytes() for table in tables.values() for each in (table.value, table.standard_error)
    ]
    line = json.dumps(declared, separators=(",", ":")).encode()
    return line + b" " * (-(len(line) + 1) % STORED.itemsize) + b"\n" + b"".join(arrays)  # aligned


def decoded(panel: bytes) -> Tables:
    """The tables that :func:`encoded` made a panel of; their arrays are those of the panel, which cannot be written to.

    panel: its bytes.
    """
    line = panel[: panel.index(b"\n")]
    tables, start = {}, len(line) + 1
    for group, (rows, quantities, replicates) in _layout(line).items():
        shape = (2, replicates, len(rows), len(quantities))
        number = math.prod(shape)
        value, error = np.frombuffer(panel, STORED, number, start).reshape(shape)
        tables[group] = EstimateTable(value, error, rows, quantities)
        start += number * STORED.itemsize
    return tables


@lru_cache(maxsize=256)
def _layout(line: bytes) -> Mapping[str, tuple[Mapping[str, int], Mapping[str, int], int]]:
    """What a first line declares; those of cells that were measured alike are alike."""
    return {
        group: (places(tuple(rows)), places(tuple(quantities)), replicates)
        for group, (rows, quantities, replicates) in json.loads(line).items()
    }
