r"""Schedule: jobs of known length on machines side by side, the longest first.

Jobs are taken in decreasing order of length, each by the machine that is free first. The last machine then ends no
later than (4/3 − 1/(3 m)) times the least that any division among m machines allows: R. L. Graham (1969), Bounds on
multiprocessing timing anomalies, SIAM Journal on Applied Mathematics 17(2). The division depends on nothing but the
lengths and the names, so that every computer comes to the same.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping


def longest_first(lengths: Mapping[str, float], machines: int) -> list[list[str]]:
    """The names of the jobs of each machine, in the order in which it takes them.

    lengths: of each job by its name, in one unit; not negative.
    machines: their number, at least one. Of those that are free at once, the one with fewer jobs is next, and of these
        the first.
    """
    taken: list[list[str]] = [[] for _ in range(machines)]
    free = [(0.0, 0, machine) for machine in range(machines)]
    for name in sorted(lengths, key=lambda name: (-lengths[name], name)):
        since, number, machine = free[0]
        taken[machine].append(name)
        heapq.heapreplace(free, (since + lengths[name], number + 1, machine))
    return taken


def makespan(lengths: Mapping[str, float], machines: int) -> float:
    """Time until the last machine of :func:`longest_first` has ended, in the unit of the lengths.

    lengths: of each job by its name.
    machines: their number.
    """
    return max(math.fsum(lengths[name] for name in names) for names in longest_first(lengths, machines))


def enough_machines(lengths: Mapping[str, float]) -> int:
    """A number of machines on which the last one ends with the longest job, while on one fewer it ends later.

    lengths: of each job by its name; at least one, and none of them negative.

    >>> enough_machines({"a": 5, "b": 3, "c": 3, "d": 3, "e": 3})
    5
    """
    longest = max(lengths.values())
    # As many as there are jobs are enough, and fewer than divide the whole work by the longest are not.
    few, enough = (math.ceil(math.fsum(lengths.values()) / longest) - 1 if longest else 0), len(lengths)
    while enough - few > 1:
        middle = (few + enough) // 2
        few, enough = (few, middle) if makespan(lengths, middle) <= longest else (middle, enough)
    return enough
