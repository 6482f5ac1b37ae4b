r"""Ranks: the processes of one training that average their gradients, by torch's DistributedDataParallel.

Each of n processes has the whole state and computes the gradient of its share of the batch (:class:`Share`);
DistributedDataParallel averages the gradients over the processes while they are computed (Li et al. 2020,
arXiv:2006.15704), so that every process makes the same update. They talk by gloo on processors and by NCCL on GPUs, of
which each process has its own.

They meet in a file that this user alone can read, and talk on the loopback interface: they are all on one computer.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple, final

import psutil
import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from study.run.training.share import Share

PATIENCE = timedelta(days=1)
"""How long a process waits for another, which may be measuring held-out images; one that dies is seen at once."""

MEETING = timedelta(minutes=5)
"""How long a process waits for the connections to the others, of which one that dies before it has them is not seen."""

_INTERFACES = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")


class Seat(NamedTuple):
    """The place of one process among those of a training.

    share: its part of each batch.
    meeting: file in which they find each other.
    """

    share: Share
    meeting: Path

    def device(self, kind: str) -> str:
        """The device of this process, of the ``kind`` ``cpu`` or ``cuda``; a GPU becomes the one that torch takes."""
        if kind == "cuda":
            torch.cuda.set_device(self.share.rank)
        return kind


@final
class Ranks:
    """The processes of a training, as one of them sees the others; see :func:`join`.

    share: the part of each batch that is this process's.
    """

    def __init__(self, share: Share) -> None:
        self.share = share

    def parallel(self, module: nn.Module) -> nn.Module:
        """``module``, whose parameters get gradients that are means over the processes; all of them call it."""
        # A static graph: every update uses the same parameters, and some of them perhaps never.
        return DistributedDataParallel(module, static_graph=True)

    def mean(self, values: Tensor) -> Tensor:
        """The mean of ``values`` over the processes."""
        distributed.all_reduce(values)
        return values / self.share.size

    def leave(self) -> None:
        """Closes the connections; another process that still works may be waited for."""
        distributed.destroy_process_group()

    def copy_first(self, tensors: Iterable[Tensor]) -> None:
        """Overwrites ``tensors``, of whatever type, with those of the first process."""
        for tensor in tensors:
            if tensor.numel():
                # As bytes, since not every type can be sent.
                distributed.broadcast(tensor.view(-1).view(torch.uint8), src=0)


def join(seat: Seat) -> Ranks:
    """The processes of a training, once all of them have come to their seats.

    seat: of this process.

    Raises RuntimeError where they have not within ``MEETING``.
    """
    try:
        distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo",
            store=distributed.FileStore(str(seat.meeting), seat.share.size),
            rank=seat.share.rank,
            world_size=seat.share.size,
            timeout=MEETING,
        )
    except BaseException:
        with suppress(Exception):  # the reason is the first one
            _count_anew()
        raise
    lengthen = getattr(distributed, "set_timeout", None)  # from torch 2.15 on
    (lengthen or distributed.distributed_c10d._set_pg_timeout)(PATIENCE)
    return Ranks(seat.share)


def _count_anew() -> None:
    """Lets the next group of this process have the number that its peers, new processes, give to their first.

    Processes meet under the number of their group. PyTorch counts those that failed, too, until one is destroyed.
    """
    hook = sys.excepthook  # which PyTorch wraps
    if not distributed.is_initialized():
        distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    distributed.destroy_process_group()
    sys.excepthook = hook


@contextmanager
def on_loopback() -> Iterator[None]:
    """Lets this process, and those that it starts, listen on the loopback interface alone within the block.

    The libraries would otherwise take the one of the host's name.
    """
    loopback = next(
        name
        for name, addresses in psutil.net_if_addrs().items()
        if any(each.family == socket.AF_INET and each.address == "127.0.0.1" for each in addresses)
    )
    before = {name: os.environ.get(name) for name in _INTERFACES}
    os.environ.update(dict.fromkeys(_INTERFACES, loopback))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
