"""Status: where each cell of a study stands, in lines to read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import get_args

from study.design.labels import titles
from study.store.index import standings
from study.store.standing import Condition, Standing
from study.store.store import Store


def status_lines(
    folder: Path, name: str = "", with_weights: Collection[str] = (), corrupt: Mapping[str, str] | None = None
) -> Iterator[str]:
    """The study's tally, and for each cell its key, condition and title, with the reason where it is not done.

    folder: the study's, ``<results>/<study>``.
    name: what the study's place is called; the folder unless given.
    with_weights: keys of cells that have weights elsewhere.
    corrupt: the reason of each cell that is elsewhere and not whole, by its place there.
    """
    store = Store(folder)
    found = standings(store, store.known_keys())
    for place, reason in (corrupt or {}).items():
        found[place.removeprefix(f"{name}/cells/")] = Standing("corrupt", {}, (reason,))
    names = titles({key: standing.config for key, standing in found.items() if standing.config})
    exported = sum(standing.exported and key not in with_weights for key, standing in found.items())
    without = f"; {exported} exported, without weights" if exported else ""
    yield f"{name or folder}: {tally(standing.condition for standing in found.values())}{without}"
    for key in [*names, *(found.keys() - names.keys())]:
        yield f"  {key}  {found[key].condition:<11}  {names.get(key, '')}"
        yield from (f"{'':16}{reason}" for reason in found[key].reasons)


def tally(conditions: Iterable[Condition]) -> str:
    """How many cells are in each condition: ``3 done, 1 failed``."""
    counts = Counter(conditions)
    return ", ".join(f"{counts[name]} {name}" for name in get_args(Condition) if counts[name]) or "no cells"
