"""Choice of engine: the compiled graph where it pays for its build, else the eager loop, with the reason in words."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Literal, NamedTuple

from models.objectives import Objective
from models.vae import VAE
from study.errors import ConfigurationError
from study.run.training.eager import EagerEngine
from study.run.training.graph import GraphEngine
from study.run.training.state import State
from study.run.training.step import Batch

log = logging.getLogger(__name__)

Name = Literal["compiled", "eager"]

_PROBES = 3
_LEAST_SAVING = 0.5
"""The share of an eager update that the graph is trusted to save; measured savings on two cores lie between 0.4 (large
multilayer perceptrons) and 0.9 (tiny networks), see ``tests/benchmarks/training_step.py``."""
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
    eager = EagerEngine(vaes, objective, scratch, batch, bf16=bf16)
    eager.step()
    start = time.perf_counter()
    for _ in range(_PROBES):
        float(eager.step()[0, 0])
    saving = _LEAST_SAVING * updates * (time.perf_counter() - start) / _PROBES
    state.write_to(vaes)
    if saving < _TRACE_SECONDS:
        return Choice("eager", f"{updates} updates are too few for a graph: it would save about {saving:.1f} s")
    try:
        cost = _TRACE_SECONDS + GraphEngine(vaes[0], objective, scratch, batch, bf16=bf16).build_seconds
    except Exception as error:
        log.debug("tracing failed", exc_info=True)
        reason = (str(error).splitlines() or ["no message"])[0]
        return Choice("eager", f"a part cannot be traced ({type(error).__name__}: {reason})", traced=False)
    if saving < cost:
        return Choice("eager", f"building the graph takes about {cost:.0f} s and would save about {saving:.0f} s")
    return Choice("compiled", f"saves about {saving:.0f} s for a build of about {cost:.0f} s")


def build(
    name: Name, vaes: Sequence[VAE], objective: Objective, state: State, batch: Batch, *, bf16: bool
) -> EagerEngine | GraphEngine:
    """The engine of that name.

    name: of the engine.
    vaes: the replicates, S of them.
    objective: what is minimised.
    state: what it updates.
    batch: what each update consumes.
    bf16: whether networks run in bfloat16.

    Raises ConfigurationError where the step cannot be traced.
    """
    if name == "eager":
        return EagerEngine(vaes, objective, state, batch, bf16=bf16)
    try:
        return GraphEngine(vaes[0], objective, state, batch, bf16=bf16)
    except Exception as error:
        raise ConfigurationError(
            f"this cell cannot be traced into one graph ({type(error).__name__}: {str(error).splitlines()[0]}); "
            "use train.engine=eager"
        ) from error
