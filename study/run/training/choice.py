"""Choice of engine by what it saves: the eager loop, the trace of its operations, or that compiled, and why, in words.

An update of B images takes about a + b B. A trace saves a part of the fixed cost a, that of Python around hundreds of
small operations, and a compiler more of it, and both next to nothing of the products and convolutions b B. A trace
takes a fraction of a second and a compiler several, so that the one pays after hundreds of updates, and the other after
thousands, and never where products are most of an update. What each saves is judged by updates of few images.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch

from models.objectives import Objective
from models.vae import VAE
from study.errors import ConfigurationError
from study.run.training.eager import EagerEngine
from study.run.training.graph import GraphEngine
from study.run.training.ranks import Ranks
from study.run.training.state import State
from study.run.training.step import Batch, noise_shapes
from study.run.training.traced import TracedEngine

log = logging.getLogger(__name__)

Name = Literal["compiled", "traced", "eager"]
Engine = EagerEngine | TracedEngine | GraphEngine

_PROBES = 3
_FEW = 2
"""Images of an update of which next to nothing is products; batch normalisation needs two."""

_TRACED_SAVING = 0.2
"""The share of such an eager update that a trace is trusted to save on each of B images. On one core of an AMD EPYC it
saved 0.22 to 0.47 of it for dense networks of 128 and 400 units under five priors, posteriors and objectives, on
batches of 128."""

_COMPILED_SAVING = 0.5
"""The share of such a traced update that a compiler is trusted to save beyond. There it saved 0.63 to 1.1 of it for
dense networks, while convolutions of 32 and 64 channels became slower by a tenth."""

_FIXED_SHARE = 0.2
"""The share of an update of the whole batch that has to be one of few images for a compiler to be tried. It was 0.3 to
0.8 for those dense networks, and 0.04 and 0.12 for the convolutions."""

_LEAST_BUILD_SECONDS = 2.0
"""Of a compiler that has built the program before: what it would save has to be more before it is asked."""

_TRACE_SECONDS = 0.5
"""Of tracing for the trial and for the training, and of the trial itself."""


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
    asked: Literal["auto", "compiled", "traced", "eager"],
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
    if asked != "auto":
        return Choice(asked, "asked for")
    try:
        return _tried(vaes, objective, state.clone(), batch, updates=updates, bf16=bf16)
    finally:
        state.write_to(vaes)


def _tried(
    vaes: Sequence[VAE], objective: Objective, scratch: State, batch: Batch, *, updates: int, bf16: bool
) -> Choice:
    """The engine that a trial favours; ``scratch`` and the modules are overwritten."""
    few = _of_few_images(vaes, objective, batch)
    eager = _seconds(EagerEngine(vaes, objective, scratch, few, bf16=bf16))
    saving = _TRACED_SAVING * updates * eager
    if saving < _TRACE_SECONDS:
        return Choice("eager", f"{updates} updates are too few for a trace: it would save about {saving:.1f} s")
    try:
        traced = _seconds(TracedEngine(vaes[0], objective, scratch, few, bf16=bf16))
        saving, cost = _COMPILED_SAVING * updates * traced, _LEAST_BUILD_SECONDS
        if saving >= cost:
            cost = _TRACE_SECONDS + GraphEngine(vaes[0], objective, scratch, batch, bf16=bf16).build_seconds
    except Exception as error:
        log.debug("tracing failed", exc_info=True)
        return Choice("eager", f"a part cannot be traced ({_first_line(error)})", traced=False)
    if saving < cost:
        reason = f"compiling the graph takes {cost:.0f} s or more and would save about {saving:.1f} s"
        return Choice("traced", reason) if traced < eager else Choice("eager", f"{reason}, and a trace nothing")
    # On a GPU the compiled graph is captured, too, and what lies between the products is merged.
    if not batch.indices.is_cuda:
        share = traced / _seconds(TracedEngine(vaes[0], objective, scratch, batch, bf16=bf16), probes=1)
        if share < _FIXED_SHARE:
            return Choice("traced", f"a compiler saves nothing of products, which are {1 - share:.2f} of an update")
    return Choice("compiled", f"saves about {saving:.0f} s for a build of about {cost:.0f} s")


def _first_line(error: Exception) -> str:
    """Type and first line of an error."""
    return f"{type(error).__name__}: {(str(error).splitlines() or ['no message'])[0]}"


def _of_few_images(vaes: Sequence[VAE], objective: Objective, batch: Batch) -> Batch:
    """A batch of few of the images, with noise that stays the same."""
    few = batch._replace(indices=batch.indices[:, :_FEW])
    images = few.images(0)
    shapes = noise_shapes(vaes[0], objective, images)
    return few._replace(noise=[torch.ones(len(vaes), *shape, device=images.device) for shape in shapes])


def _seconds(engine: Engine, probes: int = _PROBES) -> float:
    """Seconds of an update: of processor time on the CPU, which other programs do not lengthen.

    engine: whose state is overwritten.
    probes: updates that are timed, after one that is not.
    """
    clock = time.perf_counter if engine.step().is_cuda else time.process_time
    start = clock()
    for _ in range(probes):
        float(engine.step()[0, 0])
    return (clock() - start) / probes


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
        return (GraphEngine if name == "compiled" else TracedEngine)(vaes[0], objective, state, batch, bf16=bf16)
    except Exception as error:
        raise ConfigurationError(
            f"this cell cannot be traced into one graph ({_first_line(error)}); use train.engine=eager"
        ) from error
