"""Draw plots: draws of the aggregate posterior and of the prior in one figure, by their log-densities or norms."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from analysis.plots import INK, ROLES, figure, legend


def bubbles(
    aggregate: tuple[npt.NDArray[Any], npt.NDArray[Any]], prior: tuple[npt.NDArray[Any], npt.NDArray[Any]]
) -> Figure:
    """Draws of the aggregate posterior and of the prior by log p(z) and log q_N(z), in nats. On the line log q = log p
    the best possible test cannot tell them apart; where the clouds lie apart on its two sides, the prior's draws miss
    the bubbles. The share of draws on the other population's side is half the overlap 1 − TV.

    Args:
        aggregate: log q_N and log p, ``(M,)`` each, of draws of the aggregate.
        prior: the same of draws of the prior.
    """
    chart = figure(4.4, 3.6)
    axes = chart.subplots()
    for label, (log_q, log_p) in (("aggregate", aggregate), ("prior", prior)):
        axes.plot(log_p, log_q, linestyle="", rasterized=True, **_cloud(label))
    every = np.concatenate([*aggregate, *prior])
    ends = float(every.min()), float(every.max())
    axes.plot(ends, ends, color=INK, linewidth=1.0, linestyle=(0, (4, 3)), label="log q = log p")
    axes.set_xlabel("log p(z), nats")
    axes.set_ylabel("log q_N(z), nats")
    legend(chart, ("aggregate", "prior", "log q = log p"), markerscale=2.5)
    return chart


def _cloud(label: str) -> dict[str, Any]:
    return {"marker": "o", "markersize": 2.6, "markeredgewidth": 0, "alpha": 0.4, "color": ROLES[label], "label": label}


def shells(aggregate_norm: npt.NDArray[Any], prior_norm: npt.NDArray[Any]) -> Figure:
    """Norms ‖z‖ of draws of the aggregate posterior and of the prior. Where the shells coincide, norms cannot tell the
    two apart, however far apart the densities are.

    Args:
        aggregate_norm: norms of draws of the aggregate, ``(M,)``.
        prior_norm: norms of draws of the prior, ``(K,)``.
    """
    chart = figure(4.4, 3.6)
    axes = chart.subplots()
    both = np.concatenate([aggregate_norm, prior_norm])
    edges = np.linspace(both.min(), both.max(), 41)
    for label, norms in (("aggregate", aggregate_norm), ("prior", prior_norm)):
        shared: dict[str, Any] = {"bins": edges, "density": True, "color": ROLES[label]}
        axes.hist(norms, histtype="stepfilled", alpha=0.25, linewidth=0, **shared)
        axes.hist(norms, histtype="step", linewidth=1.6, label=label, **shared)
    axes.set_xlabel("‖z‖")
    axes.set_ylabel("density")
    axes.margins(y=0.2)
    legend(chart, ROLES)
    return chart
