"""Campaign: faults at random places of real runs, and what is left when the same command has been run again.

A place is a kind of fault and a moment of the run. Counted are, after the disturbed run: processes that are there a
second after their parent (orphans), runs that hang, tracebacks, and runs that did not go on to their end where only a
worker or the fork server was shot at (stopped); after the second run: cells that are not there (lost),
cells whose weights, arrays or records (times aside) are not those of an undisturbed run (differing), and files that
belong to nothing (leftovers).
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from study.store.store import Store
from tests.faults.faults import FAULTS, mounted, unmount
from tests.faults.runs import Run, warm_up

STUDY = """
settings:
  dataset: digits
  limit: 256
  network: {name: mlp, hidden: [8]}
  seeds: 1
  train: {epochs: 24, batch_size: 64, engine: eager, checkpoint_every: 0.3}
  evaluate:
    {draws: 16, components: [1], covariances: [diagonal], densities: [gaussian_mixture], importance: [1], samples: 0}
factors:
  latent_dim: [2, 3, 4]
"""
"""Three cells on two workers, of less than a second each."""

NUM_CELLS = 3

ORPHAN_SECONDS, ORPHAN_LOOKS = 1.0, 60
"""An orphan outlives its parent by a second, and by so many looks of this process: where other work leaves the
processes of a run no time to end, it leaves this one none to look."""

COUNTS = ("stopped", "lost", "differing", "orphans", "leftovers", "tracebacks", "hangs")

TIMES = ("seconds", "per_second")
"""How the names of those details of a manifest end that no two runs share."""


@dataclass
class Tally:
    """Of one kind: places, how many of the disturbed runs ended well by themselves, and what went wrong."""

    places: int = 0
    undisturbed: int = 0
    wrong: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))


def campaign(places: int, seed: int, *, cold: bool = False, kinds: list[str] | None = None) -> dict[str, Tally]:
    """Runs it, as far as Ctrl-C lets it come, and prints each fault that went wrong, with the number of its place.

    places: number of places, dealt to ``kinds`` in turn.
    seed: of the moments and of the choices that a fault makes.
    cold: whether every run starts as users start it, which takes many seconds more.
    """
    kinds = kinds or list(FAULTS)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LATENT_STUDY_CACHE"] = str(Path(folder) / "cache")
        os.environ["OMP_NUM_THREADS"] = "1"
        warm_up()
        study = Path(folder) / "tiny.yaml"
        study.write_text(STUDY)
        _run(study, Path(folder) / "first", cold)  # which compiles and caches
        start = time.monotonic()
        _run(study, Path(folder) / "reference", cold)
        duration = time.monotonic() - start
        reference = contents(Path(folder) / "reference")
        assert len(reference) == NUM_CELLS
        tallies = {kind: Tally() for kind in kinds}
        with suppress(KeyboardInterrupt):
            for place in range(places):
                kind = kinds[place % len(kinds)]
                rng = random.Random(f"{seed}/{place}")
                results = Path(folder) / f"place-{place}"
                results.mkdir()
                _disturb(kind, rng, study, results, duration, reference, cold, tallies[kind], place)
    return tallies


def _disturb(
    kind: str,
    rng: random.Random,
    study: Path,
    results: Path,
    duration: float,
    reference: dict[str, Any],
    cold: bool,
    tally: Tally,
    place: int,
) -> None:
    moment = rng.uniform(0, duration)
    with _disk(results, small=kind == "full disk") as really:
        run = Run(_arguments(study, results), cold=cold)
        run.wait(moment)
        damage = FAULTS[kind](run, results, rng) if really else None
        wrong = dict.fromkeys(COUNTS, 0)
        wrong["hangs"] += not run.wait()
        wrong["stopped"] += kind.startswith(("worker", "fork server")) and run.exit_code != 0
        wrong["orphans"] = _end(run)
        output = run.output()
        if damage:
            damage()
        again = Run(_arguments(study, results), cold=cold)
        wrong["hangs"] += not again.wait()
        wrong["orphans"] += _end(again)
        second_output = again.output()
        wrong["tracebacks"] = (output + second_output).count("Traceback (most recent call last)")
        cells = contents(results)
        wrong["lost"] = len(reference.keys() - cells.keys())
        wrong["differing"] = sum(cells[key] != reference[key] for key in cells.keys() & reference.keys())
        left = leftovers(results)
        wrong["leftovers"] = len(left)
    tally.places += 1
    tally.undisturbed += run.exit_code == 0
    for name, count in wrong.items():
        tally.wrong[name] += count
    if any(wrong.values()):
        counts = ", ".join(f"{count} {name}" for name, count in wrong.items() if count)
        print(f"place {place}, {kind} after {moment:.2f} of {duration:.2f} s: {counts} {left or ''}")
        print(f"  exit codes {run.exit_code}, {again.exit_code}")
        print(f"{_indented(output)}\n  again:\n{_indented(second_output)}", flush=True)


def _arguments(study: Path, results: Path) -> list[str]:
    return ["run", str(study), "--workers", "2", "--results", str(results), "--no-report", "--device", "cpu"]


def _run(study: Path, results: Path, cold: bool) -> None:
    run = Run(_arguments(study, results), cold=cold)
    assert run.wait(), "an undisturbed run hangs"
    output = run.output()
    assert run.exit_code == 0, output


def _end(run: Run) -> int:
    """Number of processes that are there a second after the parent; they are killed then."""
    if run.poll() is None:
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
    end, looks = time.monotonic() + ORPHAN_SECONDS, 0
    while run.processes() and (time.monotonic() < end or looks < ORPHAN_LOOKS):
        time.sleep(0.01)
        looks += 1
    orphans = run.processes()
    for pid in orphans:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(orphans)


@contextmanager
def _disk(folder: Path, *, small: bool) -> Iterator[bool]:
    """Makes ``folder`` a small disk where that is asked for; whether it is what was asked for."""
    if not small:
        yield True
        return
    mount = mounted(folder)
    try:
        yield mount
    finally:
        if mount:
            unmount(folder)


def contents(results: Path) -> dict[str, Any]:
    """What each cell that is done is compared by: digests of its weights and of its arrays, and its record."""
    found = {}
    store = Store(results / "tiny")
    for key in store.known_keys():
        if store.condition(key) != "done":
            continue
        manifest = store.verify(key)
        arrays = hashlib.sha256()
        for node in store.read(key).subtree:
            for name, variable in sorted(node.variables.items()):
                arrays.update(f"{node.path}/{name}{variable.dims}{variable.dtype}".encode())
                arrays.update(variable.values.tobytes())
        found[key] = {
            "weights": manifest.files["weights.safetensors"],
            "arrays": arrays.hexdigest(),
            "config": manifest.config,
            "images": manifest.images,
            "details": {name: value for name, value in manifest.details.items() if not name.endswith(TIMES)},
        }
    return found


def leftovers(results: Path) -> list[str]:
    """Files and folders that are neither a cell, nor its lock, nor set aside."""
    known = re.compile(r"[0-9a-f]+(\.lock|(\.[a-z]+)*\.corrupt-\d+)?")
    return [path.name for path in sorted(results.glob("tiny/cells/*")) if not known.fullmatch(path.name)]


def table(tallies: dict[str, Tally]) -> str:
    """Kinds of fault by what came of them, in Markdown."""
    head = ["fault", "places", "ended well by itself", *COUNTS]
    rows = [[kind, t.places, t.undisturbed, *t.wrong.values()] for kind, t in tallies.items()]
    total = ["all", *(sum(column) for column in list(zip(*rows, strict=True))[1:])]
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows, total]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines()[-25:])
