"""Display: the progress of a study, as live bars on a terminal and as plain lines elsewhere."""

from __future__ import annotations

import errno
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Protocol, Self, final

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from study.files import printable
from study.run.job import Event, Outcome
from study.run.progress import Progress

LINE_SECONDS = 10.0
"""Least time between two lines about the same cell."""


class Display(Protocol):
    """Shows the events of a study while its block is open."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...
    def __call__(self, event: Event) -> None:
        """Shows one event."""


def display(titles: Mapping[str, str], console: Console) -> Display:
    """The display that suits ``console``; ``titles`` names the cells by key."""
    return _Live(titles, console) if console.is_terminal else _Lines(titles, console)


def figures(progress: Progress) -> str:
    """Loss, rate and distortion in nats per image, and images per second, as far as they are known."""
    named = {"loss": progress.loss, "rate": progress.rate, "distortion": progress.distortion}
    parts = [f"{name} {value:.1f}" for name, value in named.items() if value is not None]
    if progress.images_per_second is not None:
        parts.append(f"{progress.images_per_second:,.0f} images/s")
    return ", ".join(parts)


def _ending(outcome: Outcome) -> str:
    match outcome.status:
        case "stored":
            return f"stored after {outcome.seconds:.1f} s" + (f" ({outcome.message})" if outcome.message else "")
        case "present":
            return "already stored"
        case "busy":
            return "another run computes it; waiting for that at the end"
        case "died":
            return f"{outcome.message}; it is tried once more"
        case "stopped":
            return "stopped, its state saved" if outcome.saved else f"stopped at once, not saved: {outcome.message}"
        case "failed":
            return f"failed: {outcome.message}"


class _Tally:
    """Counts cells as they end."""

    def __init__(self, titles: Mapping[str, str]) -> None:
        self.titles = {key: printable(title) for key, title in titles.items()}
        self._ended: Counter[str] = Counter()

    def line(self, outcome: Outcome) -> str:
        self._ended[outcome.status] += outcome.status not in ("busy", "died")
        return printable(f"[{self._ended.total()}/{len(self.titles)}] {self.titles[outcome.key]}: {_ending(outcome)}")


@final
class _Lines:
    """One line when a cell starts or ends, and now and then between."""

    def __init__(self, titles: Mapping[str, str], console: Console) -> None:
        self._tally = _Tally(titles)
        self._console = console
        self._latest: dict[str, float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def __call__(self, event: Event) -> None:
        title = self._tally.titles[event.key]
        if isinstance(event.what, Outcome):
            self._print(self._tally.line(event.what))
        elif event.what is None:
            self._latest[event.key] = time.monotonic()
            self._print(f"{title}: starts")
        elif time.monotonic() - self._latest[event.key] >= LINE_SECONDS:
            self._latest[event.key] = time.monotonic()
            progress = event.what
            self._print(f"{title}: {progress.phase} {progress.done}/{progress.total} {figures(progress)}")

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


@final
class _Live:
    """A bar for the phase that each active cell is in, and a line for each cell that ended."""

    def __init__(self, titles: Mapping[str, str], console: Console) -> None:
        self._tally = _Tally(titles)
        self._tasks: dict[str, tuple[str, TaskID]] = {}
        self._bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}", markup=False),
            console=console,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(OSError):  # the terminal is gone, and the study's own error tells more
            self._bars.stop()

    def __call__(self, event: Event) -> None:
        try:
            self._show(event)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            # The terminal was closed. The signal that says so stops the study, which saves its cells first.

    def _show(self, event: Event) -> None:
        title = self._tally.titles[event.key]
        if isinstance(event.what, Outcome):
            self._remove(event.key)
            self._bars.console.print(self._tally.line(event.what), markup=False, highlight=False, soft_wrap=True)
        elif event.what is None:
            self._tasks[event.key] = "", self._bars.add_task(title, total=None, figures="starts")
        elif event.key in self._tasks:
            progress = event.what
            if self._tasks[event.key][0] != progress.phase:
                self._remove(event.key)
                task = self._bars.add_task(f"{title} {progress.phase}", figures="")
                self._tasks[event.key] = progress.phase, task
            _, task = self._tasks[event.key]
            self._bars.update(task, completed=progress.done, total=progress.total, figures=figures(progress))

    def _remove(self, key: str) -> None:
        if key in self._tasks:
            self._bars.remove_task(self._tasks.pop(key)[1])
