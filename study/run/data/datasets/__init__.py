"""Data sets: one final class per file, discovered by file name."""

from study.run.data.datasets._base import Dataset

__all__ = ["Dataset"]
