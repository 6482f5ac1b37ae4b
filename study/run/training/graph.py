r"""GraphEngine: the pure step traced once into one graph and compiled; on CUDA the compiled graph is captured.

The graph holds guide, model, objective, gradient, Adam and the write-back of the state, so one call is one update.
Cells whose graphs read the same (code, shapes, constants) share one compiled program within a process, and the
compiler's own cache on disk serves later processes. A marker beside that cache keeps the seconds that a program took
to build here, so that a later run can judge whether compiling pays.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule
from torch.utils._pytree import tree_flatten, tree_unflatten

from models.objectives import Objective
from models.vae import VAE
from study.paths import usable_cache
from study.run.training.state import State
from study.run.training.step import Batch, PureStep
from study.run.training.trace import trace

COLD_TRACES = 25
"""A first compile where no marker says better, in times of the trace, which is as slow as the machine and the graph are
large. It took 15 to 26 times as long as the trace for eight networks on one core of an AMD EPYC."""

COLD_SECONDS_ON_GPU = 10.0
"""The same on a GPU, whose kernels are compiled by another program; assumed."""

_WARM_UP_CALLS = 3
"""Calls before a CUDA capture, so that libraries have chosen kernels and workspaces."""

_ON_A_PROCESSOR: dict[str, Any] = {"layout_optimization": False}
"""Options of the compiler, which would store the channels of images last for convolutions. A dense layer beside them
has them first, and changing the order took more time than convolutions saved: without it updates of four networks took
0.87 to 0.91 of the time in fp32 on one core of an AMD EPYC, and of two in bf16 0.91, and of one with 1,024 channels 0.9
to 1.1."""

_programs: dict[str, Callable[..., Any]] = {}


@contextmanager
def _compiler_cache() -> Iterator[None]:
    """Points the compiler's disk cache into ours for the block, unless the user has set one."""
    variable = "TORCHINDUCTOR_CACHE_DIR"
    if variable in os.environ:
        yield
        return
    os.environ[variable] = str(usable_cache() / "inductor")
    try:
        yield
    finally:
        del os.environ[variable]


@contextmanager
def _without_advice() -> Iterator[None]:
    """Keeps back two warnings of PyTorch's, which nobody asked for.

    One is of CUDA_HOME where there is no CUDA, the other, where there is, of products that would be faster in less than
    fp32.
    """
    logger = logging.getLogger("torch.utils.cpp_extension")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "TensorFloat32 tensor cores", UserWarning)
            yield
    finally:
        logger.setLevel(before)


def any_built() -> bool:
    """Whether this process has a compiled program, which a cell of the same shapes can use at no cost."""
    return bool(_programs)


class GraphEngine:
    """Runs the traced and compiled step in place.

    vae: lends its structure, never its values.
    objective: what is minimised.
    state: what each update overwrites.
    batch: what each update reads.
    bf16: whether networks run in bfloat16.
    """

    name = "compiled"

    def __init__(self, vae: VAE, objective: Objective, state: State, batch: Batch, *, bf16: bool = False) -> None:
        step = PureStep(vae, objective, bf16=bf16)
        self._inputs, layout = tree_flatten((_groups(state), tuple(batch)))

        def update(*tensors: Tensor) -> Tensor:
            groups, parts = tree_unflatten(list(tensors), layout)
            before = State(*groups)
            after, metrics = step(before, Batch(*parts))
            for old, new in zip(before.flat().values(), after.flat().values(), strict=True):
                old.copy_(new)
            return metrics

        start = time.process_time()
        graph = trace(update, self._inputs, fused=True)
        self._trace_seconds = time.process_time() - start
        self.key = _fingerprint(graph, self._inputs)
        self._run = _programs.get(self.key)
        self._graph = graph
        self._options = None if batch.indices.is_cuda else _ON_A_PROCESSOR
        self._calls = 0
        self._captured: torch.cuda.CUDAGraph | None = None
        self._metrics: Tensor | None = None

    @property
    def build_seconds(self) -> float:
        """Expected cost of building the program: 0 where this process has it, else by its marker, else cold."""
        if self._run is not None:
            return 0.0
        try:
            return float(json.loads(self._marker.read_text())["seconds"])
        except (OSError, ValueError, KeyError):
            return COLD_SECONDS_ON_GPU if self._options is None else COLD_TRACES * self._trace_seconds

    @property
    def _marker(self) -> Path:
        return usable_cache() / "programs" / f"{self.key}.json"

    def step(self) -> Tensor:
        """One update; the metrics ``(3, S)`` of the state before it. The first call builds the program."""
        if self._captured is not None and self._metrics is not None:
            self._captured.replay()
            return self._metrics.clone()
        with torch.no_grad():
            metrics = self._build() if self._run is None else self._run(*self._inputs)
            self._calls += 1
            if self._calls == _WARM_UP_CALLS and metrics.is_cuda:
                self._capture()
        return metrics

    def _build(self) -> Tensor:
        import torch._inductor  # noqa: PLC0415  (which takes seconds, for what compiles alone)

        start = time.perf_counter()
        with _compiler_cache(), _without_advice():
            # The graph is captured already: without Dynamo around it a call saves a quarter of a millisecond of guards.
            run = torch._inductor.compile(self._graph, self._inputs, options=self._options)
            metrics = run(*self._inputs)
        self._run = _programs[self.key] = run
        seconds = time.perf_counter() - start
        with suppress(OSError):  # without it a later run assumes the cost of a cold start
            self._marker.parent.mkdir(parents=True, exist_ok=True)
            self._marker.write_text(json.dumps({"seconds": round(seconds, 3)}))
        return metrics

    def _capture(self) -> None:
        """Records the program's kernels; capturing executes nothing, so the state does not move."""
        assert self._run is not None
        torch.cuda.synchronize()
        self._captured = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._captured):
            self._metrics = self._run(*self._inputs)


def _groups(state: State) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor], dict[str, Tensor], Tensor]:
    return state.parameters, state.exp_avg, state.exp_avg_sq, state.buffers, state.count


def _fingerprint(graph: GraphModule, inputs: list[Tensor]) -> str:
    """Hash of all that the compiled program depends on."""
    digest = hashlib.sha256(f"{torch.__version__} {_ON_A_PROCESSOR} {graph.code}".encode())
    digest.update(str([(t.shape, t.stride(), t.dtype, t.device) for t in inputs]).encode())
    for name, constant in sorted(graph.named_buffers()) + sorted(graph.named_parameters()):
        digest.update(
            name.encode() + constant.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy().tobytes()
        )
    return digest.hexdigest()[:32]
