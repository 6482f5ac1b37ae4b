"""Cluster: the cells of a study on Dask (``dask.distributed``), the extra ``cluster`` of this package.

Each part is imported when it is asked for, so that a run on one computer imports no Dask.
"""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submod_attrs={"connection": ["connected"], "executor": ["DaskExecutor"]}
)
