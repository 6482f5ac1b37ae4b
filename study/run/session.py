"""Session: a study run from Python, as `latent-study run` does from the command line."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from study.design.study import Study
from study.errors import PartialResults
from study.paths import RESULTS
from study.run.cluster.request import Request
from study.run.division import check_device, check_platform, worker_count
from study.run.launch import Launch
from study.store import Store
from study.store.target import target_of


def run(
    study: Study | str,
    *,
    results: Path | str = RESULTS,
    workers: int | str = "auto",
    device: str = "auto",
    data_root: Path | str | None = None,
    progress: bool = True,
    scheduler: Path | str | None = None,
    cluster: str | None = None,
    tls_ca: Path | str | None = None,
    tls_cert: Path | str | None = None,
    tls_key: Path | str | None = None,
    insecure: bool = False,
) -> Store:
    """Computes the cells of a study, or what is missing of them, and returns the store of its results.

    It works in a program, with a main guard or without, in a notebook and in a thread. What is interrupted goes on with
    the next call. Cells are computed on this computer, or on a Dask cluster, which needs the extra ``cluster``: on one
    that runs already, ``scheduler``, or on one that is started for the study and ends with it, ``cluster``. Options of
    a cluster, such as ``cluster.queue=gpu``, are the study's own. Dask starts the workers of ``cluster="local"`` in new
    processes, so that a program that asks for it needs a main guard.

    Args:
        study: the study, or a preset's name, or the path of a YAML file.
        results: the folder that holds studies; this one's is ``results/<name>``. At a URL, such as
            ``s3://bucket/results``, cells are published as they finish, and the store that is returned is their copy.
        workers: a number of processes that compute cells side by side, or ``auto``.
        device: ``cpu``, ``cuda`` or ``auto``.
        data_root: where data sets are kept; None for the usual place.
        progress: whether progress is shown on stderr.
        scheduler: address of a Dask scheduler, ``tcp://host:port`` or ``tls://host:port``, or the path of its file.
        cluster: kind of cluster that is started, with ``workers`` workers: ``local``, ``slurm``, ``pbs``, ``moab``,
            ``sge`` or ``lsf``.
        tls_ca: file with the certificate authority of ``scheduler``, PEM; None for that of Dask's configuration, as for
            the next two.
        tls_cert: file with the certificate for ``scheduler``, PEM.
        tls_key: file with the key of that certificate, PEM.
        insecure: whether a scheduler on another host that asks for no certificate is trusted.

    Raises:
        StudyError: of the kinds that :mod:`study.errors` lists; PartialResults where cells failed, the others being
            stored.

    Example::

        store = run(Study.load("digits").override(["latent_dim=2,8", "seeds=1"]))
        trees = store.load()

    On a cluster::

        study = Study.load("digits").override(["cluster.queue=gpu", "cluster.resources={GPU: 1}"])
        store = run(study, cluster="slurm", workers=8)
        store = run("digits", scheduler="scheduler.json")
    """
    chosen = Study.load(study) if isinstance(study, str) else study
    check_platform()
    check_device(device)
    worker_count(str(workers))
    ca, cert, key, root = (None if path is None else Path(path) for path in (tls_ca, tls_cert, tls_key, data_root))
    request = Request(
        None if scheduler is None else str(scheduler), cluster, chosen.cluster, ca, cert, key, insecure=insecure
    )
    request.check(str(workers))
    target = target_of(str(results), chosen.name)
    launch = Launch(
        target.store,
        str(workers),
        device,
        root,
        None,
        f"study.run({chosen.name!r})",
        request if scheduler is not None or cluster is not None else None,
        target.mirror,
    )
    cells = chosen.cells()
    launch.check(cells)
    outcomes = launch.compute(cells, Console(stderr=True, quiet=not progress))
    if failed := [outcome for outcome in outcomes if outcome.status == "failed"]:
        raise PartialResults(f"{len(failed)} of {len(cells)} cells failed, the first because {failed[0].message}")
    return target.store
