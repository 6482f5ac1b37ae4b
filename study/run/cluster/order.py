"""Order: what a worker of a cluster is sent for one cell, plain data; and how it is carried out in a process there.

An order has the configuration of the cell, and of its files only the state of an interrupted attempt, where worker and
command share no folder. Functions go by name, as everything that is pickled does: they are imported in the process that
computes the cell, and Dask's own need not import torch.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, final

from study.design.cell import Cell
from study.run.job import Channel, Job
from study.store.parcel import pack, unpack
from study.store.store import Store

DEVICE = "study.run.execution:resolve_device"
"""Name of what chooses a device, with torch, which only the process that computes imports."""


@final
@dataclass(frozen=True, slots=True)
class Order:
    """One cell for a worker.

    run: names the run that sends it.
    terms: what the worker must be like, see :mod:`study.run.cluster.worker`.
    function: name of what computes a job.
    runner: name of the job's runner.
    check: name of what raises unless the worker has the same images; may be empty.
    config: of the cell.
    images: their checksum.
    root: of the store; None where results are sent back.
    device: of the job.
    data_root: of the job.
    command: of the job.
    wait: of the job.
    threads: of the cell.
    compiles: whether it may be trained by a compiled graph.
    """

    run: str
    terms: Mapping[str, Any]
    function: str
    runner: str
    check: str
    config: Mapping[str, Any]
    images: str
    root: str | None
    device: str
    data_root: str | None
    command: str
    wait: bool
    threads: int
    compiles: bool


def name_of(function: Callable[..., Any]) -> str:
    """``module:name`` of a function that another process can import."""
    return f"{function.__module__}:{function.__qualname__}"


def _function(name: str) -> Callable[..., Any]:
    module, _, attribute = name.partition(":")
    function: Callable[..., Any] = getattr(import_module(module), attribute)
    return function


def carry_out(order: Order, files: Mapping[str, bytes], private: str, channel: Channel) -> dict[str, Any]:
    """Computes the cell of an order in this process: its outcome, and its files where no folder is shared.

    order: what to compute.
    files: state of an earlier attempt, by name.
    private: a folder of this worker, for a cell whose files are sent back.
    channel: the line to the parent.
    """
    cell = Cell.from_config(dict(order.config))
    data_root = None if order.data_root is None else Path(order.data_root)
    if order.check:
        _function(order.check)(cell, order.images, data_root)
    store = Store(Path(order.root or private))
    if order.root is None and not store.workspace(cell.key).exists():  # it does after the death of a process here
        unpack(store, cell, order.images, files)
    job = Job(
        cell,
        store,
        _function(order.runner),
        _function(DEVICE)(order.device),
        data_root,
        order.images,
        order.command,
        order.wait,
    )
    outcome = asdict(_function(order.function)(job, channel))
    if order.root is not None:
        return {"outcome": outcome, "files": {}}
    answer = {"outcome": outcome, "files": pack(store, cell.key)}
    shutil.rmtree(store.folder(cell.key), ignore_errors=True)
    store.clear(cell.key)
    return answer
