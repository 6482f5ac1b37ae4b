"""Choice of engine by what it saves: the eager loop, the trace of its operations, or that compiled, and why, in words.

An update of B images takes about a + b B. A trace saves a part of the fixed cost a, that of Python around hundreds of
small operations, and a compiler more of it, and both next to nothing of the products and convolutions b B. A trace
takes a fraction of a second and a compiler several, so that the one pays after a thousand updates of a small network,
and the other after several thousand. What each saves is judged by updates of few images.

Several replicates in one program share a. On a processor their products can take longer than one after another, since
grouped convolutions are slower than single ones and what all of them remember leaves the cache. Whole updates of all
and of one, by their traces, tell which it is.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import torch

from models.objectives import Objective
from models.vae import VAE
from study.errors import ConfigurationError
from study.run.training.eager import EagerEngine
from study.run.training.graph import GraphEngine, any_built
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
saved 0.19 to 0.47 of it for dense networks of 128 and 400 units under five priors, posteriors and objectives, on
batches of 128."""

_COMPILED_SAVING = 0.5
"""The share of such a traced update that a compiler is trusted to save beyond. There it saved 0.5 to 1.5 of it, for six
dense networks and two of convolutions."""

_LEAST_BUILD_SECONDS = 2.0
"""Of a compiler that has built the program before, 1.8 to 2.8 there: it is asked where it would save more."""

_APART = 1.05
"""Times that an update of all replicates may take of one of each before they are updated one by one: where the two are
equal, the clock would decide how results are rounded."""

_TRACE_SECONDS = 0.5
"""Of tracing for the trial and for the training, and of the trial itself."""


class Choice(NamedTuple):
    """The engine to use and why.

    engine: its name.
    reason: in words.
    traceable: off where the step was tried and cannot be traced.
    """

    engine: Name
    reason: str
    traceable: bool = True


def choose(
    vaes: Sequence[VAE],
    objective: Objective,
    state: State,
    batch: Batch,
    *,
    asked: Literal["auto", "compiled", "traced", "eager"],
    updates: int,
    programs: int,
    bf16: bool,
) -> Choice:
    """The engine for some updates; state and modules are left as they were.

    vaes: the replicates, S of them.
    objective: what is minimised.
    state: of the replicates.
    batch: what an update consumes.
    asked: what the configuration asks for.
    updates: how many are to be made.
    programs: how many are traced for it, one for each group of replicates.
    bf16: whether networks run in bfloat16.
    """
    if asked != "auto":
        return Choice(asked, "asked for")
    trial = _tried_on_gpu if batch.indices.is_cuda else _tried
    try:
        return trial(vaes, objective, state, batch, updates=updates, programs=programs, bf16=bf16)
    finally:
        state.write_to(vaes)


def _tried(
    vaes: Sequence[VAE], objective: Objective, state: State, batch: Batch, *, updates: int, programs: int, bf16: bool
) -> Choice:
    """The engine that a trial on a processor favours, on a copy of ``state``; the modules are overwritten."""
    few = _of_few_images(vaes, objective, batch)
    eager = _seconds(EagerEngine(vaes, objective, state.clone(), few, bf16=bf16))
    saving, tracing = _TRACED_SAVING * updates * eager, _TRACE_SECONDS * (1 + programs) / 2
    if saving < tracing:
        return Choice("eager", f"{updates} updates are too few for a trace: it would save about {saving:.1f} s")
    try:
        engine = TracedEngine(vaes[0], objective, state.clone(), few, bf16=bf16)
    except Exception as error:
        return _untraceable(error)
    traced = _seconds(engine)
    saving = _COMPILED_SAVING * updates * traced
    cost = 0.0 if any_built() else _LEAST_BUILD_SECONDS
    if saving >= cost:
        # Groups of as many replicates share one compiled program.
        cost = tracing + GraphEngine(vaes[0], objective, state.clone(), batch, bf16=bf16).build_seconds
    if saving >= cost:
        return Choice("compiled", f"saves about {saving:.0f} s for a build of about {cost:.0f} s")
    reason = f"compiling the graph takes {cost:.0f} s or more and would save about {saving:.1f} s"
    return Choice("traced", reason) if traced < eager else Choice("eager", f"{reason}, and a trace nothing")


def _tried_on_gpu(
    vaes: Sequence[VAE], objective: Objective, state: State, batch: Batch, *, updates: int, programs: int, bf16: bool
) -> Choice:
    """The same on a GPU, where a compiled graph is captured, too; what a trace saves there was not measured."""
    few = _of_few_images(vaes, objective, batch)
    saving = (
        _COMPILED_SAVING
        * updates
        * _seconds(EagerEngine(vaes, objective, state.clone(), few, bf16=bf16), clock=time.perf_counter)
    )
    if saving < _TRACE_SECONDS:
        return Choice("eager", f"{updates} updates are too few for a graph: it would save about {saving:.1f} s")
    try:
        build = GraphEngine(vaes[0], objective, state.clone(), batch, bf16=bf16).build_seconds
    except Exception as error:
        return _untraceable(error)
    cost = _TRACE_SECONDS * (1 + programs) / 2 + build
    if saving < cost:
        return Choice("eager", f"building the graph takes about {cost:.0f} s and would save about {saving:.0f} s")
    return Choice("compiled", f"saves about {saving:.0f} s for a build of about {cost:.0f} s")


def _untraceable(error: Exception) -> Choice:
    log.debug("tracing failed", exc_info=error)
    return Choice("eager", f"a part cannot be traced ({_first_line(error)})", traceable=False)


def _first_line(error: Exception) -> str:
    """Type and first line of an error."""
    return f"{type(error).__name__}: {(str(error).splitlines() or ['no message'])[0]}"


def _of_few_images(vaes: Sequence[VAE], objective: Objective, batch: Batch) -> Batch:
    """A batch of few of the images, with noise that stays the same."""
    few = batch._replace(indices=batch.indices[:, :_FEW])
    images = few.images(0)
    shapes = noise_shapes(vaes[0], objective, images)
    return few._replace(noise=[torch.ones(len(vaes), *shape, device=images.device) for shape in shapes])


def _seconds(engine: Engine, probes: int = _PROBES, clock: Callable[[], float] = time.process_time) -> float:
    """Seconds of an update after one that does not count.

    engine: whose state is overwritten.
    probes: updates that are timed.
    clock: of processor time, which other programs do not lengthen, unless threads or a GPU are waited for.
    """
    float(engine.step()[0, 0])
    start = clock()
    for _ in range(probes):
        float(engine.step()[0, 0])
    return (clock() - start) / probes


def faster_apart(vaes: Sequence[VAE], objective: Objective, state: State, batch: Batch, *, bf16: bool) -> bool:
    """Whether a processor updates one replicate after another sooner than all of them in one program, by a short trial.

    vaes: the replicates, S of them.
    objective: what is minimised.
    state: of the replicates, which is left as it was.
    batch: what an update of all consumes.
    bf16: whether networks run in bfloat16.
    """
    if len(vaes) == 1 or batch.indices.is_cuda:
        return False
    first = Batch(batch.source[:1], batch.indices[:1], [draw[:1] for draw in batch.noise], *batch[3:])
    try:
        together = TracedEngine(vaes[0], objective, state.clone(), batch, bf16=bf16)
        apart = TracedEngine(vaes[0], objective, State.initial(vaes[:1]), first, bf16=bf16)
    except Exception as error:
        log.debug("tracing failed", exc_info=error)
        return False  # the engine that was asked for will say why
    # Of several threads processor time counts those that wait. Other programs lengthen wall time, and seldom the least.
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    rounds = [(_seconds(together, 1, clock), _seconds(apart, 1, clock)) for _ in range(_PROBES)]
    of_all, of_one = (min(seconds) for seconds in zip(*rounds, strict=True))
    return of_all > _APART * len(vaes) * of_one


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
