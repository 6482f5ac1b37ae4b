"""Status: where each cell of a study stands, in lines to read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import get_args

from study.design.labels import titles
from study.store.store import Condition, Store


def status_lines(folder: Path) -> Iterator[str]:
    """The study's tally, and for each cell its key, condition and title, with the reason of a failure.

    folder: the study's, ``<results>/<study>``.
    """
    store = Store(folder)
    conditions = {key: store.condition(key) for key in store.known_keys()}
    names = titles({key: config for key in conditions if (config := store.config(key))})
    yield f"{folder}: {tally(conditions.values())}"
    for key in [*names, *(conditions.keys() - names.keys())]:
        yield f"  {key}  {conditions[key]:<10}  {names.get(key, '')}"
        if conditions[key] == "failed":
            record = store.failure(key)
            yield f"{'':16}{record.get('message', 'for an unknown reason')}"
            yield f"{'':16}the same command tries again: {record.get('command', 'latent-study run')}"


def tally(conditions: Iterable[Condition]) -> str:
    """How many cells are in each condition: ``3 done, 1 failed``."""
    counts = Counter(conditions)
    return ", ".join(f"{counts[name]} {name}" for name in get_args(Condition) if counts[name]) or "no cells"
