"""Display: the progress of a study, as live lines on a terminal and as plain lines elsewhere.

On a terminal each running cell has one line, and the study one below them with the time that is left; a cell that ended
leaves a line behind. Elsewhere a cell that ended has a line, and once a minute the study has one, which says how far
its running cells are where there is room. What is longer than the terminal is wide, or than 80 columns elsewhere, goes
on in the next line, so that every cell has its whole name.
"""

from __future__ import annotations

import errno
import textwrap
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Protocol, Self, final

from rich.console import Console
from rich.live import Live
from rich.text import Text

from analysis.numerals import duration
from study.files import printable
from study.run.forecast import Forecast
from study.run.job import Event, Outcome
from study.run.progress import Progress

HEARTBEAT_SECONDS = 60.0
"""Least time between two lines that no cell's end gives rise to."""
COLUMNS = 80
"""Width of a line that goes to a file or a pipe."""
BAR = 16
"""Columns of the bar of a running cell."""


class Display(Protocol):
    """Shows the events of a study while its block is open."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...
    def __call__(self, event: Event) -> None:
        """Shows one event."""


def display(titles: Mapping[str, str], console: Console, forecast: Forecast) -> Display:
    """The display that suits ``console``.

    Args:
        titles: what the cells are called, by key.
        console: where it is shown.
        forecast: of the time that is left; it is told when cells begin and end.
    """
    return (_Live if console.is_terminal else _Lines)(titles, console, forecast)


def figures(progress: Progress) -> str:
    """Loss, rate and distortion in nats per image, and images per second, as far as they are known."""
    named = {"loss": progress.loss, "rate": progress.rate, "distortion": progress.distortion}
    parts = [f"{name} {value:.1f}" for name, value in named.items() if value is not None]
    if progress.images_per_second is not None:
        parts.append(f"{progress.images_per_second:,.0f} images/s")
    return ", ".join(parts)


def wrapped(text: str, columns: int) -> list[str]:
    """``text`` in lines of at most ``columns``, those after the first indented; words, as names are, stay whole where
    they fit."""
    return textwrap.wrap(text, columns, subsequent_indent="  ", break_on_hyphens=False)


def _ending(outcome: Outcome) -> str:
    match outcome.status:
        case "stored":
            return f"stored after {duration(outcome.seconds)}"
        case "present":
            return "already stored"
        case "busy":
            return "another run computes it; this run waits for it at the end"
        case "died":
            return f"{outcome.message}; it is tried once more"
        case "stopped":
            return "stopped, its state saved" if outcome.saved else f"stopped at once, not saved: {outcome.message}"
        case "failed":
            return f"failed: {outcome.message}"


class _Tally:
    """The state of the study, and the lines that tell it."""

    def __init__(self, titles: Mapping[str, str], forecast: Forecast) -> None:
        self.titles = {key: printable(title) for key, title in titles.items()}
        self.running: dict[str, Progress | None] = {}
        self._forecast = forecast
        self._ended: Counter[str] = Counter()

    def take(self, event: Event) -> Outcome | None:
        """Takes an event in, and gives the outcome where it is one."""
        if isinstance(event.what, Outcome):
            self.running.pop(event.key, None)
            if event.what.status not in ("busy", "died"):
                self._ended[event.what.status] += 1
                self._forecast.end(event.key)
            return event.what
        if event.what is None:
            self._forecast.start(event.key)
        self.running[event.key] = event.what
        return None

    def ending(self, outcome: Outcome, columns: int, note: str = "") -> str:
        """The lines of a cell that ended, with a ``note``."""
        line = f"[{self._ended.total()}/{len(self.titles)}] {self.titles[outcome.key]}: {printable(_ending(outcome))}"
        return "\n".join(wrapped(line + note, columns))

    def left(self) -> str:
        """The time that is left, in words; empty where nothing is known, or nothing is left."""
        seconds = self._forecast.seconds
        return f"about {duration(seconds)} left" if seconds > 0 else ""

    def study(self, phases: bool = False) -> str:
        """The line of the study, with the ``phases`` of its running cells, as far as they have reported any."""
        running = f"{len(self.running)} running" if self.running else ""
        reports = [progress for progress in self.running.values() if progress and progress.total] if phases else []
        if reports:
            at = [f"{progress.phase} {progress.done / progress.total:.0%}" for progress in reports]
            running += f" ({', '.join(at)})"
        parts = [f"{self._ended.total()} of {len(self.titles)} cells ended", running, self.left()]
        return "study: " + ", ".join(filter(None, parts))

    def cell(self, key: str, columns: int) -> list[str]:
        """The lines of a running cell: bar, phase, title and, where there is room, figures."""
        progress = self.running[key]
        share = progress.done / progress.total if progress and progress.total else 0.0
        full = round(BAR * min(1.0, share))
        phase = progress.phase if progress else "starting"
        head = f"{'━' * full}{'─' * (BAR - full)} {share:4.0%} {phase:<9}  {self.titles[key]}"
        tail = f"  {numbers}" if progress and (numbers := figures(progress)) else ""
        return [head + tail] if len(head + tail) <= columns else wrapped(head, columns)


@final
class _Lines:
    """A line for each cell that ended, and now and then one of the study."""

    def __init__(self, titles: Mapping[str, str], console: Console, forecast: Forecast) -> None:
        self._tally = _Tally(titles, forecast)
        self._console = console
        self._latest = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def __call__(self, event: Event) -> None:
        if outcome := self._tally.take(event):
            left = self._tally.left() if outcome.status == "stored" else ""
            self._print(self._tally.ending(outcome, COLUMNS, f"; {left}" if left else ""))
        elif time.monotonic() - self._latest >= HEARTBEAT_SECONDS:
            line = self._tally.study(phases=True)
            self._print(line if len(line) <= COLUMNS else self._tally.study())

    def _print(self, line: str) -> None:
        self._latest = time.monotonic()
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


@final
class _Live:
    """Lines of the running cells and of the study, redrawn in place below those of the cells that ended."""

    def __init__(self, titles: Mapping[str, str], console: Console, forecast: Forecast) -> None:
        self._tally = _Tally(titles, forecast)
        self._console = console
        self._live = Live(get_renderable=self._lines, console=console, transient=True, refresh_per_second=4)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(OSError):  # the terminal is gone, and the study's own error tells more
            self._live.stop()

    def __call__(self, event: Event) -> None:
        try:
            if outcome := self._tally.take(event):
                line = self._tally.ending(outcome, self._console.width)
                self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            # The terminal was closed. The signal that says so stops the study, which saves its cells first.

    def _lines(self) -> Text:
        columns = self._console.width
        running = [line for key in list(self._tally.running) for line in self._tally.cell(key, columns)]
        lines = [*running, *wrapped(self._tally.study(), columns)]
        return Text("\n".join(lines), no_wrap=True, overflow="crop")
