"""Division: how cells are shared among computers (shards) and processes (workers), as a user asks for it.

Nothing here needs torch, so that a dry run of many cells need not wait for its import.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from study.design.cell import Cell
from study.design.registry import UnknownName
from study.errors import ConfigurationError, EnvironmentFault

DEVICES = ("auto", "cpu", "cuda")

LONGEST = 9
"""Digits of a number of shards or workers."""


def share(cells: Sequence[Cell], shard: str) -> list[Cell]:
    """The i-th of n equal parts of ``cells`` for ``shard`` ``i/n``, counted from 1."""
    index, slash, count = shard.partition("/")
    if not (slash and _is_count(index) and _is_count(count) and int(index) <= int(count)):
        raise ConfigurationError(f"--shard is i/n with 1 ≤ i ≤ n, such as 2/8; got {_brief(shard)}")
    return list(cells[int(index) - 1 :: int(count)])


def worker_count(workers: str) -> int | None:
    """The number of processes that ``workers`` asks for; None for ``auto``."""
    if workers == "auto":
        return None
    if not _is_count(workers):
        raise ConfigurationError(f"--workers is a positive integer or auto; got {_brief(workers)}")
    return int(workers)


def check_device(device: str) -> None:
    """Raises ConfigurationError for what is no kind of device; whether there is one here is not looked at."""
    if device not in DEVICES:
        raise ConfigurationError(str(UnknownName("device", device, DEVICES)))


def check_platform() -> None:
    """Raises EnvironmentFault where cells cannot be computed: they need the processes and signals of Unix."""
    if not hasattr(os, "fork"):
        raise EnvironmentFault(
            "cells are computed on Linux or macOS, whose processes and signals that needs; on Windows, run this in WSL "
            "(results that lie here can be read: `latent-study report`)"
        )


def _is_count(text: str) -> bool:
    """Whether ``text`` is a positive integer in ASCII digits (Unicode has others, which look alike)."""
    return text.isascii() and text.isdecimal() and len(text) <= LONGEST and int(text) >= 1


def _brief(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:30]}… ({len(text):,} characters)")
