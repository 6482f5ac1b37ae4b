"""Request: which cluster a user asks for: a scheduler that runs, or a kind that is started and ends with the run.

Whoever reaches a Dask scheduler that does not ask for a certificate can run any program as the user of its workers, and
what it returns is unpickled here. So a scheduler on another host needs TLS, or the word of the user that the network is
trusted. What this package starts itself uses TLS with certificates made for that one cluster.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import final
from urllib.parse import urlsplit

from pydantic import BaseModel

from study.design.cluster import ANYWHERE, ClusterOptions
from study.design.registry import UnknownName
from study.errors import ConfigurationError
from study.store.reading import Corrupt, record

JOB_SYSTEMS = {
    "slurm": ("SLURMCluster", "account"),
    "pbs": ("PBSCluster", "account"),
    "moab": ("MoabCluster", "account"),
    "sge": ("SGECluster", "project"),
    "lsf": ("LSFCluster", "project"),
}
"""Classes of dask-jobqueue by the name of the job system, and what each calls the account."""

KINDS = ("local", *JOB_SYSTEMS)


class _SchedulerFile(BaseModel):
    """What Dask writes with ``--scheduler-file``, as far as it is read."""

    address: str


@final
@dataclass(frozen=True, slots=True)
class Request:
    """A cluster.

    scheduler: address of one that runs, as a user wrote it, or the path of its file; None where one is started.
    kind: one of KINDS, which is started; None for one that runs.
    options: of the study.
    ca, cert, key: files for TLS; where None, those that Dask's configuration names.
    insecure: whether a scheduler on another host needs no certificate.
    """

    scheduler: str | None = None
    kind: str | None = None
    options: ClusterOptions = ClusterOptions()  # noqa: RUF009  (it is frozen)
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    insecure: bool = False

    def check(self, workers: str) -> None:
        """Raises ConfigurationError where the parts of the request do not go together.

        workers: the number of them, as a user wrote it.
        """
        if self.scheduler is not None and self.kind is not None:
            raise ConfigurationError(f"expected --scheduler or --cluster, got both; leave out --cluster {self.kind}")
        if self.scheduler is None and (self.insecure or self.ca or self.cert or self.key):
            raise ConfigurationError(
                "--tls-ca, --tls-cert, --tls-key and --insecure belong to --scheduler; leave them out"
            )
        if self.kind is not None and self.kind not in KINDS:
            raise ConfigurationError(str(UnknownName("cluster", self.kind, KINDS)))
        if self.scheduler is not None and workers != "auto":
            raise ConfigurationError(f"--scheduler has workers already; leave out --workers {workers[:40]}")
        if self.kind in JOB_SYSTEMS and workers == "auto":
            raise ConfigurationError(f"--cluster {self.kind} needs --workers N, the number of jobs")
        if self.kind == "local" and (idle := sorted(self.options.model_fields_set - ANYWHERE)):
            raise ConfigurationError(f"cluster.{idle[0]} is for a job system ({', '.join(JOB_SYSTEMS)}); leave it out")
        for path in (self.ca, self.cert, self.key):
            if path is not None and not path.is_file():
                raise ConfigurationError(f"expected a file for TLS, in PEM format; got {path}, where there is none")
        if self.scheduler is not None:
            self.address()

    def address(self) -> str:
        """The scheduler's address, ``tcp://host:port`` or ``tls://host:port``.

        Raises ConfigurationError where there is none, or it is another host's without TLS.
        """
        assert self.scheduler is not None
        address = self.scheduler
        if "://" not in address:
            try:
                address = record(Path(address), _SchedulerFile).address
            except Corrupt as error:
                raise ConfigurationError(
                    f"expected --scheduler tcp://HOST:PORT, tls://HOST:PORT or its file; got {self.scheduler}: {error}"
                ) from error
        scheme, _, place = address.partition("://")
        try:
            parts = urlsplit(f"//{place}")
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
        if scheme not in ("tcp", "tls") or not host or not port:
            raise ConfigurationError(f"expected a scheduler tcp://HOST:PORT or tls://HOST:PORT; got {address[:80]}")
        if scheme == "tcp" and not _is_loopback(host) and not self.insecure:
            raise ConfigurationError(
                f"{address} asks nobody for a certificate, so that whoever reaches it can run programs as its users; "
                "start it with TLS (--tls-ca, --tls-cert, --tls-key), or trust the network with --insecure"
            )
        return address

    def __str__(self) -> str:
        return f"the scheduler {self.scheduler}" if self.kind is None else f"a {self.kind} cluster"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
