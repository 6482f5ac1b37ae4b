"""Compilation: numba's ``njit``, with a place for what it compiles even where nothing beside the source can be written.

Numba keeps compiled functions beside their source or in a home directory, and refuses to compile where neither can be
written, as in a container. They then go to the folder that ``LATENT_STUDY_CACHE`` names, else to one that ends with
this process. ``NUMBA_CACHE_DIR``, where a user has set it, stays as it is.
"""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numba
import platformdirs
from numba import njit

__all__ = ["keep_compiled", "njit"]

_config: Any = numba.config
"""Its attributes are made when numba is imported, from the environment."""


def keep_compiled(source: Path) -> None:
    """Names numba a writable folder, in this process and those that it starts, where it would not have one.

    source: folder of the functions to compile.
    """
    if _config.CACHE_DIR or _writable(source / "__pycache__"):
        return
    chosen = os.environ.get("LATENT_STUDY_CACHE") or platformdirs.user_cache_dir("latent-study")
    folder = Path(chosen) / "numba"
    if not _writable(folder):
        folder = Path(_temporary().name)
    _config.CACHE_DIR = os.environ["NUMBA_CACHE_DIR"] = str(folder)


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


@cache
def _temporary() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="latent-study-numba-")


keep_compiled(Path(__file__).parent)
