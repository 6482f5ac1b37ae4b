"""Objects: results on an object store, at a URL of any protocol of fsspec, and their copies here.

    <URL>/<study>/cells/<key>/result-<digest>.zarr.zip      the result, a zipped Zarr store of format 3
    <URL>/<study>/cells/<key>/weights-<digest>.safetensors  the weights, where the cell was published with them
    <URL>/<study>/cells/<key>/manifest.json                 what the cell is, and the SHA-256 of the two

An object store has no locks, no renames and no folders. Names of objects say what is in them, so that two who publish
one cell at once write over nothing; the manifest is written last, and only where there is none, so that a cell without
one does not exist and a cell with one never changes.

Each part is imported when it is asked for, so that results in folders need neither fsspec nor Zarr.
"""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submod_attrs={"mirror": ["Mirror", "archives", "mirror_at", "mirrors"]}
)
