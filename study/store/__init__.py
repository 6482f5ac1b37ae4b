"""Store: results on disk, one immutable directory per cell."""

from study.store.store import Store

__all__ = ["Store"]
