"""Data sets: one final class per file, discovered by file name."""

from models.registry import Registry
from study.data.datasets._base import Dataset

DATASETS: Registry[Dataset] = Registry("dataset", __name__, Dataset)

__all__ = ["DATASETS", "Dataset"]
