"""Remeasured: results as another evaluation of the same trained replicates might have given them.

Every estimate is drawn anew from a normal distribution about its value with its standard error, independently of the
others. What a statistic of estimates then varies by is the noise of the evaluation in it. Records of single draws and
images stay as they are, as do estimates without a standard error.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
import xarray as xr

from analysis.layout import ROWS
from study.answers.results import Results, StoredCell


def remeasured(results: Results, generator: torch.Generator) -> Results:
    """``results`` with every estimate drawn anew.

    Args:
        results: finished cells.
        generator: the whole of the randomness.
    """
    return replace(results, cells=tuple(_cell(cell, generator) for cell in results))


def _cell(cell: StoredCell, generator: torch.Generator) -> StoredCell:
    groups = {name: _group(node.to_dataset(), generator) for name, node in cell.tree.children.items() if name in ROWS}
    rest = {name: node.to_dataset() for name, node in cell.tree.children.items() if name not in ROWS}
    return cell.with_tree(xr.DataTree.from_dict(groups | rest))


def _group(table: xr.Dataset, generator: torch.Generator) -> xr.Dataset:
    errors = np.nan_to_num(table["standard_error"].values.astype(float), posinf=0.0)
    noise = torch.randn(errors.shape, generator=generator, dtype=torch.float64).numpy()
    return table.assign(value=table["value"] + errors * noise)
