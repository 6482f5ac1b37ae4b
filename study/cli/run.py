"""`latent-study run`: compute the cells of a study, or what is missing of them."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from study.cli.selection import Device, Hypothesis, Results, StudyWords, Workers, Yes, print_cells, selected
from study.design.cost import Cost
from study.design.limits import CELLS_BUILT
from study.errors import PartialResults, say, say_line
from study.paths import RESULTS
from study.run.cluster.request import KINDS, Request
from study.run.division import Shard, check_device, check_platform, worker_count
from study.store.target import target_of


def command(
    context: typer.Context,
    arguments: StudyWords = None,
    hypothesis: Hypothesis = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the cells and what each takes, and compute nothing.")
    ] = False,
    yes: Yes = False,
    workers: Workers = "auto",
    shard: Annotated[
        str, typer.Option(metavar="i/n", help="Compute only the i-th of n parts, which take about equally long.")
    ] = "1/1",
    results: Results = str(RESULTS),
    device: Device = "auto",
    data_root: Annotated[
        Path | None, typer.Option(metavar="DIR", envvar="LATENT_STUDY_DATA", help="Folder that holds the data sets.")
    ] = None,
    report: Annotated[bool, typer.Option("--report/--no-report", help="Write the answer page at the end.")] = True,
    tensorboard: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Log training curves and samples there for TensorBoard.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS|FILE", help="Compute on the Dask cluster of this scheduler.")
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(metavar="|".join(KINDS), help="Start a Dask cluster of --workers N; cluster.NAME=VALUE sets it."),
    ] = None,
    tls_ca: Annotated[Path | None, typer.Option(metavar="FILE", help="Certificate authority of --scheduler.")] = None,
    tls_cert: Annotated[Path | None, typer.Option(metavar="FILE", help="Certificate for --scheduler.")] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="Key of that certificate.")] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Trust a scheduler on another host that asks for no certificate.")
    ] = False,
) -> None:
    """Compute the missing cells of a study, print the answer and write the answer page.

    The same command resumes after an interruption and computes nothing twice.

    Examples:

    - `latent-study run`: the preset *first_look*
    - `latent-study run mnist latent_dim=2,16 prior=vamp,standard_normal prior.components=200`
    - `latent-study run my_study.yaml train.updates=300 --dry-run`
    - `latent-study run --for H7 dataset=mnist`
    - `latent-study run mnist --results s3://bucket/results`: computed here, and published there cell by cell
    - `latent-study run mnist --cluster slurm --workers 8 cluster.queue=gpu cluster.resources={GPU: 1}`
    """
    part = Shard.parse(shard)
    check_device(device)
    worker_count(workers)
    study, cells = selected(arguments or [], hypothesis, yes=yes)
    request = Request(scheduler, cluster, study.cluster, tls_ca, tls_cert, tls_key, insecure)
    request.check(workers)
    target = target_of(results, study.name)
    store = target.store
    if dry_run and len(cells) > CELLS_BUILT and part.parts == 1:
        costs = {cell.key: Cost.of(cell) for cell in cells}
        print_cells(store, cells, costs, "whether their parts fit together, and into memory, is checked when they run")
        return

    check_platform()
    # Seconds of torch, pandas and matplotlib, for which help, refusals and the cells of a large study do not wait.
    from study.cli.answer import PAGE, print_answers, write_report  # noqa: PLC0415
    from study.run.launch import Launch  # noqa: PLC0415

    where = request if scheduler or cluster else None
    words = shlex.join(["latent-study", *context.obj])
    launch = Launch(store, workers, device, data_root, tensorboard, words, where, target.mirror)
    cells = launch.share(cells, part)
    costs, placement = launch.check(cells)
    if dry_run:
        print_cells(store, cells, costs, str(placement))
        return
    outcomes = launch.compute(cells, Console(stderr=True))
    failed = sum(outcome.status == "failed" for outcome in outcomes)
    chapters = print_answers([store.root], with_table=True) if failed < len(cells) else []
    say(f"\nresults: {target.name}\nevery number: `{shlex.join(['latent-study', 'summary', target.name])}`")
    if report and chapters:
        try:
            write_report(chapters, store.root / PAGE)
        except Exception as error:  # whatever it is, the results are stored and the run has done its work
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            say_line(f"no page: {reason}; `latent-study report {target.name}` tries again", err=True)
    if failed:
        raise PartialResults(f"{failed} of {len(cells)} cells failed; `latent-study status {results}` tells why")
