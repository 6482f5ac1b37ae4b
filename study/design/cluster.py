"""Cluster options: how cells are given to a cluster, under ``cluster`` of a study's file or as ``cluster.name=value``.

They say where cells are computed and nothing of what is: no cell's key has them. What a site needs besides (lines that
load an environment, for one) belongs in Dask's own configuration of the user, which dask-jobqueue reads: commands are
never taken from a study, which may be somebody else's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, final

from pydantic import AfterValidator, Field

from study.design.settings import Settings, validated
from study.errors import ConfigurationError

CLUSTER = "cluster."
"""What the names of these options begin with on the command line."""


def _word(text: str) -> str:
    if not text.isprintable() or not text or text[0] in "-#" or not set(text).isdisjoint(" ;&|<>$`'\"\\(){}*?"):
        raise ValueError("expected one word without characters that a shell takes for commands")
    return text


def _directive(text: str) -> str:
    if not text.isprintable() or not text.startswith("-"):
        raise ValueError("expected one line that begins with a dash, such as --gres=gpu:1")
    return text


Word = Annotated[str, AfterValidator(_word), Field(max_length=200)]
Directive = Annotated[str, AfterValidator(_directive), Field(max_length=200)]
Amount = Annotated[float, Field(gt=0, le=1e6, strict=False)]


@final
class ClusterOptions(Settings):
    """Where cells are computed.

    resources: what one cell needs, by the names that workers offer, such as ``{GPU: 1}``; a cluster that is started
        offers as much on each worker.
    threads: threads of each cell.
    dashboard: whether Dask's page of the running cluster is served, on this computer alone.
    queue, account: of the job system.
    memory: of each job, such as ``8GB``. walltime: of each job, such as ``04:00:00``.
    interface: network interface between this computer and the jobs, such as ``ib0``.
    directives: further lines of the job's head, such as ``--gres=gpu:1``.
    folder: one that jobs see too, for their logs and for the certificates of this cluster.
    """

    resources: dict[Word, Amount] = Field(default_factory=dict)
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    dashboard: bool = False
    queue: Word | None = None
    account: Word | None = None
    memory: Word = "4GB"
    walltime: Word | None = None
    interface: Word | None = None
    directives: tuple[Directive, ...] = ()
    folder: Word | None = None


ANYWHERE = {"resources", "threads", "dashboard"}
"""Options that are not of a job system."""


def overridden_cluster(options: ClusterOptions, pairs: Iterable[tuple[str, tuple[Any, ...]]]) -> ClusterOptions:
    """Options with those assignments made whose names begin with ``cluster.``.

    options: before.
    pairs: names and the values that each was given.

    Raises ConfigurationError where one is unknown, out of range, or given several values.
    """
    chosen: dict[str, Any] = {}
    for key, values in pairs:
        if key.startswith(CLUSTER):
            if key in chosen or len(values) > 1:
                raise ConfigurationError(f"{key} does not change a result, so it cannot be a factor; give one value")
            chosen[key] = values[0]
    named = {key.removeprefix(CLUSTER): value for key, value in chosen.items()}
    return validated(ClusterOptions, options.model_dump(exclude_unset=True) | named, within=CLUSTER)
