"""Remeasured: results as another evaluation of the same trained replicates might have given them.

Every estimate is drawn anew from a normal distribution about its value with its standard error, independently of the
others. What a statistic of estimates then varies by is the noise of the evaluation in it. Records of single draws and
images stay as they are, as do estimates without a standard error.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from analysis.layout import ROWS
from analysis.normal_noise import NormalNoise
from study.answers.results import Results, StoredCell


def remeasured(results: Results, noise: NormalNoise) -> Results:
    """``results`` with every estimate drawn anew.

    Args:
        results: finished cells.
        noise: the whole of the randomness.
    """
    return replace(results, cells=tuple(_cell(cell, noise) for cell in results))


def _cell(cell: StoredCell, noise: NormalNoise) -> StoredCell:
    tree = cell.tree.copy()  # of the tree and its variables, not of their arrays
    for table in (node.dataset for name, node in tree.children.items() if name in ROWS):
        value, errors = table["value"], np.nan_to_num(table["standard_error"].values.astype(float), posinf=0.0)
        value.data = value.values + errors * noise.draw(errors.shape)
    return cell.with_tree(tree)
