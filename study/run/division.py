"""Division: how cells are shared among computers (shards) and processes (workers), as a user asks for it.

Nothing here needs torch, so that a dry run of many cells need not wait for its import.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

from study.design.cell import Cell
from study.design.registry import UnknownName
from study.design.schedule import longest_first
from study.errors import ConfigurationError, EnvironmentFault

DEVICES = ("auto", "cpu", "cuda")

LONGEST = 9
"""Digits of a number of shards or workers."""


class Shard(NamedTuple):
    """One of several parts of a study.

    part: its place, from 1.
    parts: their number.
    """

    part: int
    parts: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """The part that ``i/n`` names; raises ConfigurationError."""
        index, slash, count = text.partition("/")
        if not (slash and _is_count(index) and _is_count(count) and int(index) <= int(count)):
            raise ConfigurationError(f"--shard is i/n with 1 ≤ i ≤ n, such as 2/8; got {_brief(text)}")
        return cls(int(index), int(count))

    def of(self, cells: Sequence[Cell], seconds: Mapping[str, float | None]) -> list[Cell]:
        """The cells of this part, in the order of ``cells``, where all parts take about equally long.

        The parts are those of :func:`~study.design.schedule.longest_first`; more parts than cells leave some empty.

        cells: of the whole study.
        seconds: what each is expected to take, by key; where one of them is not known, all cells count alike.
        """
        if self.part > len(cells):
            return []
        known = all(seconds.get(cell.key) for cell in cells)
        lengths = {cell.key: float(seconds[cell.key] or 0.0) if known else 1.0 for cell in cells}
        own = set(longest_first(lengths, min(self.parts, len(cells)))[self.part - 1])
        return [cell for cell in cells if cell.key in own]


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
