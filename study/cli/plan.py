"""`latent-study plan`: what the missing cells of a study will take."""

from __future__ import annotations

from study.cli.selection import Device, Hypothesis, Results, StudyWords, Workers, Yes, print_cells, selected
from study.design.plan import Plan
from study.errors import say_line
from study.paths import RESULTS
from study.run.checking import check_all
from study.run.division import worker_count
from study.run.execution import resolve_device, resolve_workers
from study.run.pace import pace
from study.store.index import standings
from study.store.target import target_of


def command(
    arguments: StudyWords = None,
    hypothesis: Hypothesis = None,
    yes: Yes = False,
    workers: Workers = "auto",
    results: Results = str(RESULTS),
    device: Device = "auto",
) -> None:
    """List the cells of a study and say what those that are missing take together: time, memory and disk.

    The time follows from the cost model and from the speed of this machine, which is measured for half a second. The
    number of workers may be that of another machine.

    - `latent-study plan digits --workers 8`
    - `latent-study plan mnist latent_dim=2,16,128 seeds=5 --workers 64`
    """
    worker_count(workers)
    place = resolve_device(device)
    study, cells = selected(arguments or [], hypothesis, yes=yes)
    costs, store = check_all(cells), target_of(results, study.name).store
    found = standings(store, [cell.key for cell in cells])
    missing = [cell for cell in cells if found[cell.key].condition != "done"]
    speed = pace(place)
    processes = max((costs[cell.key].processes for cell in missing), default=1)
    plan = Plan(missing, costs, resolve_workers(workers, len(missing), place, processes), speed)
    print_cells(store, cells, costs, f"a second of the model takes {speed:.2f} s on this {place}")
    for line in plan.lines():
        say_line(line)
