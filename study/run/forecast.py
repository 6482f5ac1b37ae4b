r"""Forecast: how long the rest of a study will take, from the cells that have ended and what each was expected to cost.

With w_c the expected cost of cell c and t_c the seconds that an ended one took, a unit of cost takes

    r = Σ t_c / Σ w_c        (over ended cells, computed here),

so that a cell which has run for e_c seconds has max(r w_c − e_c, 0) left. Side by side on W workers the rest takes no
less than its sum over W, nor than its longest cell. Nothing is said before the first cell has ended: expected costs
are proportions, and not seconds of this machine.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping


class Forecast:
    """Follows the cells of a study and says how much time is left."""

    def __init__(
        self, expected: Mapping[str, float | None], workers: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """A forecast before anything has run.

        Args:
            expected: cost of each cell that is to be computed, by key, in one unit; where one is None or not positive,
                all count alike.
            workers: number of cells that run side by side.
            clock: seconds since some fixed time.
        """
        known = all(cost is not None and cost > 0 for cost in expected.values())
        self._left = {key: float(cost) if known and cost else 1.0 for key, cost in expected.items()}
        self._workers = max(1, workers)
        self._clock = clock
        self._began: dict[str, float] = {}
        self._seconds = self._cost = 0.0

    def start(self, key: str) -> None:
        """Cell ``key`` begins to run."""
        self._began[key] = self._clock()

    def end(self, key: str) -> None:
        """Cell ``key`` is done with, one way or another; one that never began here tells nothing of speed."""
        cost, began = self._left.pop(key, 0.0), self._began.pop(key, None)
        if began is not None and cost:
            self._seconds += self._clock() - began
            self._cost += cost

    @property
    def seconds(self) -> float:
        """Seconds that are left for all cells together; NaN as long as nothing is known."""
        if not self._left:
            return 0.0
        if not self._cost:
            return math.nan
        unit, now = self._seconds / self._cost, self._clock()
        rest = [max(0.0, unit * cost - (now - self._began.get(key, now))) for key, cost in self._left.items()]
        return max(*rest, sum(rest) / self._workers)
