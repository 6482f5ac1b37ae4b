"""Choice of engine: the compiled graph where it pays for its build, else the eager loop, with the reason in words.

An update of B images takes about a + b B. The graph saves some of the fixed cost a, that of calling hundreds of small
operations from Python, and next to nothing of the products and convolutions b B, so that it pays for small networks and
hardly ever for large convolutional ones. What it saves is taken as a share of the time of an update of few images.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from models.objectives import Objective
from models.vae import VAE
from study.errors import ConfigurationError
from study.run.training.eager import EagerEngine
from study.run.training.graph import GraphEngine
from study.run.training.ranks import Ranks
from study.run.training.state import State
from study.run.training.step import Batch, noise_shapes

log = logging.getLogger(__name__)

Name = Literal["compiled", "eager"]
Engine = EagerEngine | GraphEngine

_PROBES = 3
_FEW = 2
"""Images of an update of which next to nothing is products; batch normalisation needs two."""

_LEAST_SAVING = 0.5
"""The share of such an update that the graph is trusted to save on each of B images. On one core of an Intel Xeon it
saved 0.64 of it for perceptrons of 200 units on batches of 100, at 2 and at 512 latent dimensions alike."""

_TRACE_SECONDS = 1.0


class Choice(NamedTuple):
    """The engine to use and why.

    engine: its name.
    reason: in words.
    traced: off where the step was tried and cannot be traced.
    """

    engine: Name
    reason: str
    traced: bool = True


def choose(
    vaes: Sequence[VAE],
    objective: Objective,
    state: State,
    batch: Batch,
    *,
    asked: Literal["auto", "compiled", "eager"],
    updates: int,
    bf16: bool,
) -> Choice:
    """The engine for some updates; state and modules are left as they were.

    vaes: the replicates, S of them.
    objective: what is minimised.
    state: of the replicates.
    batch: what an update consumes.
    asked: what the configuration asks for.
    updates: how many are to be made.
    bf16: whether networks run in bfloat16.
    """
    if asked == "eager":
        return Choice("eager", "asked for")
    if asked == "compiled":
        return Choice("compiled", "asked for")
    scratch = state.clone()
    saving = _LEAST_SAVING * updates * _fixed_seconds(vaes, objective, scratch, batch, bf16=bf16)
    state.write_to(vaes)
    if saving < _TRACE_SECONDS:
        return Choice("eager", f"{updates} updates are too few for a graph: it would save about {saving:.1f} s")
    try:
        cost = _TRACE_SECONDS + GraphEngine(vaes[0], objective, scratch, batch, bf16=bf16).build_seconds
    except Exception as error:
        log.debug("tracing failed", exc_info=True)
        return Choice("eager", f"a part cannot be traced ({_first_line(error)})", traced=False)
    if saving < cost:
        return Choice("eager", f"building the graph takes about {cost:.0f} s and would save about {saving:.0f} s")
    return Choice("compiled", f"saves about {saving:.0f} s for a build of about {cost:.0f} s")


def _first_line(error: Exception) -> str:
    """Type and first line of an error."""
    return f"{type(error).__name__}: {(str(error).splitlines() or ['no message'])[0]}"


def _fixed_seconds(vaes: Sequence[VAE], objective: Objective, scratch: State, batch: Batch, *, bf16: bool) -> float:
    """Seconds of an eager update of few images: of processor time on the CPU, which other programs do not lengthen.

    vaes, objective, batch, bf16: as of :func:`choose`.
    scratch: a state that is overwritten.
    """
    few = batch._replace(indices=batch.indices[:, :_FEW])
    images = few.images(0)
    shapes = noise_shapes(vaes[0], objective, images)
    noise: list[Tensor] = [torch.ones(len(vaes), *shape, device=images.device) for shape in shapes]
    eager = EagerEngine(vaes, objective, scratch, few._replace(noise=noise), bf16=bf16)
    eager.step()
    clock = time.perf_counter if images.is_cuda else time.process_time
    start = clock()
    for _ in range(_PROBES):
        float(eager.step()[0, 0])
    return (clock() - start) / _PROBES


def build(
    name: Name,
    vaes: Sequence[VAE],
    objective: Objective,
    state: State,
    batch: Batch,
    *,
    bf16: bool,
    ranks: Ranks | None = None,
) -> Engine:
    """The engine of that name.

    name: of the engine.
    vaes: the replicates, S of them.
    objective: what is minimised.
    state: what it updates.
    batch: what each update consumes.
    bf16: whether networks run in bfloat16.
    ranks: the processes that share each batch of an eager engine; None for this one alone.

    Raises ConfigurationError where the step cannot be traced.
    """
    if name == "eager":
        return EagerEngine(vaes, objective, state, batch, bf16=bf16, ranks=ranks)
    try:
        return GraphEngine(vaes[0], objective, state, batch, bf16=bf16)
    except Exception as error:
        raise ConfigurationError(
            f"this cell cannot be traced into one graph ({_first_line(error)}); use train.engine=eager"
        ) from error
