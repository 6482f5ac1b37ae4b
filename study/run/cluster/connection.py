"""Connection: a client of the cluster that a request asks for, and what its workers have in common with this computer.

A cluster that is started here ends with the run. It listens on this computer alone where its workers are here, and
speaks TLS with certificates made for it; other users of this computer can reach a port, and nothing behind it.
"""

from __future__ import annotations

import logging
import socket
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from distributed import Client, LocalCluster, Security

from study.errors import EnvironmentFault
from study.files import own_folder
from study.paths import cache_directory
from study.run.cluster import worker
from study.run.cluster.executor import DaskExecutor
from study.run.cluster.jobqueue import dask_jobqueue
from study.run.cluster.request import JOB_SYSTEMS, Request
from study.store import hold
from study.store.store import Store

log = logging.getLogger(__name__)

WAIT_SECONDS = 5.0
"""After which it is said that there is no worker yet."""

LOOPBACK = "127.0.0.1"


@contextmanager
def connected(
    request: Request, store: Store, workers: int, *, check: Callable[..., None] | None, compiles: bool
) -> Iterator[DaskExecutor]:
    """An executor on the cluster that is asked for, once it has a worker and its workers suit the run.

    request: the cluster.
    store: where results go.
    workers: to start.
    check: see DaskExecutor.
    compiles: whether cells may be trained by a compiled graph.

    Raises EnvironmentFault where there is no such scheduler, or a worker has other versions.
    """
    logging.getLogger("distributed").setLevel(logging.CRITICAL + 1)  # what matters is said here, in one sentence
    with ExitStack() as closing:
        client = closing.enter_context(_client(request, workers, closing))
        same = worker.terms()
        seen = closing.enter_context(_nonce(store))
        try:
            _wait_for_a_worker(client, str(request))
            looks = client.run(worker.look, same, seen)
        except Exception as error:  # of the connection, or a worker's, which may have another version of this package
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise EnvironmentFault(
                f"the workers of {request} do not answer ({reason}); install there what is installed here"
            ) from error
        for _, differs, _ in looks.values():
            if differs:
                raise EnvironmentFault(f"{differs}; install there what is installed where the command runs")
        shared = all(sees for _, _, sees in looks.values())
        if shared and {host for host, _, _ in looks.values()} != {socket.gethostname()}:
            hold.share(store.cells)
        yield DaskExecutor(
            client,
            str(request),
            {"same": same, "seen": seen},
            shared=shared,
            check=check,
            resources=request.options.resources,
            threads=request.options.threads,
            compiles=compiles,
        )


@contextmanager
def _client(request: Request, workers: int, closing: ExitStack) -> Iterator[Client]:
    if request.kind is None:
        address = request.address()
        security = Security(
            require_encryption=address.startswith("tls://"),
            **{
                name: str(path)
                for name, path in {
                    "tls_ca_file": request.ca,
                    "tls_client_cert": request.cert,
                    "tls_client_key": request.key,
                }.items()
                if path is not None
            },
        )
        try:
            client = Client(address, security=security, timeout=10, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise EnvironmentFault(f"no scheduler answers at {address} ({reason}); mend --scheduler") from error
    else:
        cluster = closing.enter_context(_started(request, workers))
        client = Client(cluster, set_as_default=False)
    with client:
        yield client


def _started(request: Request, workers: int) -> Any:
    options = request.options
    dashboard = f"{LOOPBACK}:8787" if options.dashboard else f"{LOOPBACK}:0"
    if request.kind == "local":
        return LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            host=LOOPBACK,
            security=True,
            dashboard_address=dashboard,
            worker_dashboard_address=f"{LOOPBACK}:0",
            memory_limit=0,  # what cells take is checked before they run
            resources=dict(options.resources) or None,
            silence_logs=logging.CRITICAL,
            scheduler_kwargs={"dashboard": options.dashboard},
        )
    cluster = job_cluster(request, dashboard)
    cluster.scale(workers)
    return cluster


def job_cluster(request: Request, dashboard: str = f"{LOOPBACK}:0") -> Any:
    """The cluster of a job system, which has no job yet.

    request: which, with its options.
    dashboard: address of its page.
    """
    options = request.options
    name, account = JOB_SYSTEMS[str(request.kind)]
    folder = own_folder(Path(options.folder or cache_directory() / "cluster").expanduser().absolute())
    worker_words = ["--nthreads", "1", "--no-dashboard"]
    if options.resources:
        worker_words += ["--resources", ",".join(f"{name}={amount:g}" for name, amount in options.resources.items())]
    chosen = {
        "queue": options.queue,
        account: options.account,
        "walltime": options.walltime,
        "interface": options.interface,
        "job_extra_directives": list(options.directives) or None,
    }
    return getattr(dask_jobqueue, name)(
        cores=options.threads,
        processes=1,
        memory=options.memory,
        python=sys.executable,
        security=True,
        shared_temp_directory=str(folder),
        log_directory=str(folder),
        worker_extra_args=worker_words,
        scheduler_options={"dashboard_address": dashboard, "dashboard": options.dashboard},
        **{option: value for option, value in chosen.items() if value is not None},
    )


def _wait_for_a_worker(client: Client, where: str) -> None:
    start, said = time.monotonic(), False
    while not client.nthreads():
        if not said and time.monotonic() - start > WAIT_SECONDS:
            said = True
            log.warning("%s has no worker yet; the run begins with the first", where)
        time.sleep(0.1)


@contextmanager
def _nonce(store: Store) -> Iterator[tuple[str, str]]:
    """A file of the results folder that nobody else has, while the block runs, and what it says."""
    path, text = own_folder(store.cells).resolve() / f".seen-{uuid.uuid4().hex}", uuid.uuid4().hex
    path.write_text(text, "utf-8")
    try:
        yield str(path), text
    finally:
        path.unlink(missing_ok=True)
